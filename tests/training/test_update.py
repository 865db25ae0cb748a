"""One step: rules that evaluate the loss themselves, rules with an average of their own, and what is remembered."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain import registry
from gradtrain.components.optimizers import Optimizer
from gradtrain.components.optimizers.adam import Adam
from gradtrain.components.optimizers.lbfgs import Lbfgs
from gradtrain.components.optimizers.sam import Sam
from gradtrain.components.optimizers.schedule_free import ScheduleFree
from gradtrain.components.optimizers.sgd import Sgd
from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.start import measured, start
from gradtrain.storage import checkpoint
from gradtrain.training.penalties import Penalties
from gradtrain.training.phase import Phase
from gradtrain.training.precision import Precision
from gradtrain.training.schedule import LearningRate
from gradtrain.training.update import NonFinite, Update


class Bench:
    """Weights under an update, on ½ Σ aᵢ (wᵢ - 1)², and how often it was evaluated."""

    def __init__(self, rule: Optimizer, dtype: torch.dtype = torch.float64, **options: Any) -> None:
        generator = torch.Generator().manual_seed(0)
        shapes = [(4, 3), (3, 2), (5,)]
        self.weights = [torch.randn(s, generator=generator, dtype=dtype).requires_grad_() for s in shapes]
        self.slopes = [1 + 4 * torch.rand(s, generator=generator, dtype=dtype) for s in shapes]
        groups = [{"params": self.weights[:2]}, {"params": self.weights[2:]}]
        if not rule.grouped:
            groups = [{"params": self.weights}]
        self.update = Update("model", rule, groups, [1.0] * len(groups), **options)
        self.rule, self.calls = rule, 0

    def loss(self) -> Tensor:
        pairs = zip(self.slopes, self.weights, strict=True)
        return torch.stack([(a * (w - 1) ** 2).sum() / 2 for a, w in pairs]).sum()

    def evaluate(self) -> Tensor:
        self.calls += 1
        self.update.zero_grad()
        loss = self.loss()
        loss.backward()
        return loss.detach()

    def step(self, lr: float | None = None) -> None:
        """What the loop does."""
        total = self.evaluate()
        self.update.clip(Precision(), total)
        self.update.step(Precision(), lr if lr is not None else self.rule.lr, self.evaluate)

    def now(self) -> list[Tensor]:
        return [w.detach().clone() for w in self.weights]


def equal(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def every_case() -> list[Any]:
    found = []
    for name in registry.names(Optimizer):
        cls = registry.find(Optimizer, name)
        found += [pytest.param(cls(**case), id=f"{name}-{number}") for number, case in enumerate(cls.cases)]
    return found


def stored(update: Update) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Through what a checkpoint keeps: tensors as they are, the rest as JSON."""
    tensors, numbers = update.state()
    return {name: tensor.clone() for name, tensor in tensors.items()}, json.loads(json.dumps(numbers))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", every_case())
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(rule: Optimizer, dtype: torch.dtype) -> None:
    whole, first, second = (Bench(rule, dtype) for _ in range(3))
    for _ in range(6):
        whole.step()
    for _ in range(3):
        first.step()
    with torch.no_grad():
        for new, old in zip(second.weights, first.weights, strict=True):
            new.copy_(old)
    second.update.restore(*stored(first.update))
    for _ in range(3):
        second.step()
    assert equal(whole.now(), second.now())
    mine, theirs = stored(whole.update), stored(second.update)
    assert mine[1] == theirs[1]
    assert mine[0].keys() == theirs[0].keys()
    assert all(torch.equal(mine[0][name], theirs[0][name]) for name in mine[0])


def test_the_lists_of_lbfgs_are_named_tensors() -> None:
    bench = Bench(Lbfgs(max_iter=3, max_eval=9, history=8))
    bench.step()
    tensors, numbers = bench.update.state()
    assert {"0.old_dirs.0", "0.old_dirs.1", "0.old_stps.1", "0.ro.1", "0.d", "0.prev_flat_grad"} <= tensors.keys()
    assert numbers["0.old_dirs"] == [None, None]
    assert numbers["0.n_iter"] == 3


def test_an_empty_memory_stays_an_empty_memory() -> None:
    first, second = Bench(Lbfgs(max_iter=1)), Bench(Lbfgs(max_iter=1))
    first.step()
    second.update.restore(*stored(first.update))
    assert second.update.optimizer.state[second.weights[0]]["old_dirs"] == []


def test_the_loops_evaluation_is_not_made_again() -> None:
    bench = Bench(Sam())
    bench.step()
    assert bench.calls == 2
    bench = Bench(Lbfgs(max_iter=4))
    bench.step()
    assert bench.calls == 4  # the fourth iteration moves and does not look


def test_sam_through_the_update() -> None:
    bench = Bench(Sam(lr=0.1, rho=0.3, momentum=0.0))
    start = bench.now()
    gradients = [a * (w - 1) for a, w in zip(bench.slopes, start, strict=True)]
    length = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    bench.step()
    for new, w, a, g in zip(bench.weights, start, bench.slopes, gradients, strict=True):
        torch.testing.assert_close(new.detach(), w - 0.1 * a * (w + 0.3 * g / length - 1), rtol=1e-12, atol=1e-14)


def test_clipping_is_done_to_every_evaluation() -> None:
    bench = Bench(Sam(lr=0.1, rho=0.3, momentum=0.0), clip_norm=0.01)
    start = bench.now()
    gradients = [a * (w - 1) for a, w in zip(bench.slopes, start, strict=True)]
    length = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    there = [w + 0.3 * g / length for w, g in zip(start, gradients, strict=True)]
    far = [a * (w - 1) for a, w in zip(bench.slopes, there, strict=True)]
    norm = math.sqrt(sum(float((g**2).sum()) for g in far))
    bench.step()
    for new, w, g in zip(bench.weights, start, far, strict=True):
        torch.testing.assert_close(new.detach(), w - 0.1 * g * 0.01 / norm, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "rule", [Sam(), Lbfgs(max_iter=5), Lbfgs(line_search="strong_wolfe")], ids=["sam", "", "wolfe"]
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_at_a_trial_leaves_the_weights(rule: Optimizer, value: float) -> None:
    bench = Bench(rule)
    before, loss = bench.now(), bench.loss
    bench.loss = lambda: loss() * (value if bench.calls == 2 else 1.0)  # type: ignore[method-assign]
    with pytest.raises(NonFinite, match=f"the loss at a point that `{rule.name()}` tried is {value}"):
        bench.step()
    assert equal(before, bench.now())


def test_a_loss_that_is_no_number_is_found_before_the_rule_begins() -> None:
    bench = Bench(Sam())
    bench.loss = lambda: sum(w.sum() for w in bench.weights) * math.nan  # type: ignore[method-assign]
    with pytest.raises(NonFinite, match="the loss is nan"):
        bench.step()
    assert bench.calls == 1


@pytest.mark.parametrize("rule", [Sam(lr=0.1), Lbfgs(max_iter=3)], ids=lambda rule: rule.name())
def test_decay_and_the_moving_average_come_after_the_step(rule: Optimizer) -> None:
    plain, decayed = Bench(rule), Bench(rule, ema=0.75)
    start = plain.now()
    decayed.update.decay = [(0.5, [decayed.weights[0].detach()])]
    plain.step(0.1)
    decayed.step(0.1)
    torch.testing.assert_close(decayed.weights[0].detach(), 0.95 * plain.weights[0].detach(), rtol=1e-12, atol=0)
    assert equal(plain.now()[1:], decayed.now()[1:])
    for average, old, new in zip(decayed.update.average, start, decayed.now(), strict=True):
        torch.testing.assert_close(average, 0.75 * old + 0.25 * new, rtol=1e-12, atol=1e-14)


def test_float16_is_refused() -> None:
    half = Precision()
    half.name = "float16"
    bench = Bench(Sam())
    bench.evaluate()
    with pytest.raises(Problem, match="cannot train in float16"):
        bench.update.step(half, 0.1, bench.evaluate)


def test_lbfgs_finds_the_bottom_and_stays() -> None:
    bench = Bench(Lbfgs(line_search="strong_wolfe", tolerance_change=1e-16))
    for _ in range(4):
        bench.step()
    torch.testing.assert_close(bench.now(), [torch.ones_like(w) for w in bench.weights], rtol=1e-6, atol=1e-6)
    calls, there = bench.calls, bench.now()
    bench.step()
    assert bench.calls == calls + 1
    assert equal(there, bench.now())


def test_schedules_reach_rules_that_search() -> None:
    slow, fast = Bench(Lbfgs(max_iter=1)), Bench(Lbfgs(max_iter=1))
    start = slow.now()
    slow.step(0.1)
    fast.step(1.0)
    for w, a, b in zip(start, slow.now(), fast.now(), strict=True):
        torch.testing.assert_close(10 * (a - w), b - w, rtol=1e-10, atol=1e-12)


def test_the_others_pay_nothing() -> None:
    assert type(Bench(Adam()).update) is Update
    assert type(Bench(Sgd(), ema=0.9).update) is Update


class Averages:
    """x of the schedule-free rule, by its own definition: the mean of z, each by its rate squared."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.rates, self.sum = bench, 0.0, [torch.zeros_like(w) for w in bench.now()]

    def step(self, t: int) -> list[Tensor]:
        bench = self.bench
        bench.step()
        rate = bench.rule.lr * math.sqrt(1 - 0.999**t)
        points = [bench.update.optimizer.state[w]["z"] for w in bench.weights]
        self.rates += rate**2
        self.sum = [s + rate**2 * z for s, z in zip(self.sum, points, strict=True)]
        return [s / self.rates for s in self.sum]


def test_schedule_free_is_measured_at_its_average() -> None:
    bench = Bench(ScheduleFree(lr=0.1))
    assert equal(bench.update.average, bench.now())
    averages = Averages(bench)
    for t in range(1, 6):
        expected = averages.step(t)
        trained = bench.now()
        bench.update.swap()
        torch.testing.assert_close(bench.now(), expected, rtol=1e-11, atol=1e-12)
        assert not equal(trained, bench.now())
        bench.update.swap()
        assert equal(trained, bench.now())


def test_a_swap_of_weights_without_an_average_does_nothing() -> None:
    bench = Bench(Sgd())
    before = bench.now()
    bench.update.swap()
    assert equal(before, bench.now())


def phase(update: Update, start: int) -> Phase:
    rate = LearningRate(None, "step", 0.1, 5, 5)
    return Phase([update], rate, Penalties([], {}), start, start + 5, update.parameters, [])


def test_the_next_phase_begins_at_the_average() -> None:
    bench = Bench(ScheduleFree(lr=0.1))
    for _ in range(5):
        bench.step()
    average = bench.update.average
    after = Update("model", Sgd(lr=0.1), [{"params": bench.weights}], [1.0], ema=0.9)
    phase(after, 5).begin(phase(bench.update, 0))
    assert equal(average, bench.now())
    assert equal(average, after.average)


def test_a_phase_after_another_rule_leaves_the_weights() -> None:
    bench = Bench(Adam(lr=0.1))
    bench.step()
    before = bench.now()
    after = Update("model", Sgd(lr=0.1), [{"params": bench.weights}], [1.0])
    phase(after, 5).begin(phase(bench.update, 0))
    assert equal(before, bench.now())


CONFIG = """\
name: small
data:
  source: {blobs: {count: 120, noise: 1.5}}
  split: {val: 0.25, test: 0.25}
  transforms: [standardize]
  batch_size: 16
model:
  layers: [{linear: 8}, relu, {linear: $data.classes}]
loss: cross_entropy
optimizer: {schedule_free: 0.1}
training: {epochs: 3}
"""


def test_a_schedule_free_run_reports_the_weights_that_are_opened_later(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(CONFIG)
    outcome = start(tmp_path / "small.yaml", overrides=(), folder=tmp_path / "run", shown=Lines(io.StringIO()))
    for split in ("val", "test"):
        assert measured(tmp_path / "run", split) == (split, outcome.results[split])
    kept = checkpoint.newest(tmp_path / "run" / "checkpoints").tensors
    assert not torch.equal(kept["network.model.0.weight"], kept["average.model.0.weight"])


def test_a_norm_whose_squares_overflow_is_no_infinity() -> None:
    """Gradients of 1e25 are numbers: they are scaled down, and the run goes on."""
    weight = torch.nn.Parameter(torch.zeros(2))
    update = Update("model", Sgd(lr=1.0), [{"params": [weight], "lr": 1.0}], [1.0], clip_norm=1.0)
    weight.grad = torch.tensor([3e25, 4e25])
    norm = update.clip(Precision(), torch.tensor(0.0))
    assert norm is not None
    assert float(norm) == pytest.approx(5e25)
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("given", [{}, {"clip_value": 1.0}, {"clip_norm": 1.0}])
def test_a_gradient_that_is_not_finite_is_refused_however_it_is_clipped(bad: float, given: dict[str, float]) -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    update = Update("model", Sgd(lr=1.0), [{"params": [weight], "lr": 1.0}], [1.0], **given)
    weight.grad = torch.tensor([1.0, bad])
    with pytest.raises(NonFinite, match="the norm of the gradient"):
        update.clip(Precision(), torch.tensor(0.5))
    weight.grad = torch.tensor([1.0, 0.0])
    update.clip(Precision(), torch.tensor(0.5))  # the one after it is judged anew
