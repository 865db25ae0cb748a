"""The laws of the loop: it does what its page says, and the same thing however the work is cut."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import gradtrain.training.loop as page
from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.losses.mse import Mse
from gradtrain.components.objectives.supervised import Supervised
from gradtrain.components.optimizers.adam import Adam
from gradtrain.components.optimizers.sgd import Sgd
from gradtrain.components.regularizers.l2 import L2
from gradtrain.components.schedules.exponential import Exponential
from gradtrain.training.batches import Batches
from gradtrain.training.loop import Step, train
from gradtrain.training.parallel import Parallel
from gradtrain.training.penalties import Applied, Penalties
from gradtrain.training.precision import Precision
from gradtrain.training.schedule import LearningRate
from gradtrain.training.selectors import parameters
from gradtrain.training.update import NonFinite, Update

X = torch.randn(48, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = X @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def steps(
    network: nn.Module,
    *,
    number: int = 6,
    size: int = 16,
    x: Tensor = X,
    y: Tensor = Y,
    loss: object = None,
    optimizer: object = None,
    penalty: float = 0.0,
    schedule: object = None,
    precision: Precision | None = None,
    **options: object,
) -> list[Step]:
    optimizer = optimizer or Sgd(lr=0.1)
    networks = {"model": network}
    named = parameters(networks)
    update = Update("model", optimizer, [{"params": list(network.parameters())}], [1.0], **options)
    applied = [Applied("l2", L2(strength=penalty), 1.0, tuple(named))] if penalty else []
    task = Supervised().start([WeightedLoss(part=loss or Mse())], "value", Facts())
    batches = Batches({"x": x, "y": y}, size, seed=3)
    rate = LearningRate(schedule, "step", optimizer.lr, number, batches.per_epoch)
    return list(
        train(
            networks,
            task,
            Penalties(applied, {"model": named}),
            [update],
            rate,
            batches,
            precision or Precision(),
            Parallel(),
            steps=number,
        )
    )


def weights(network: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def test_the_page_fits_a_screen_and_stands_alone() -> None:
    source = Path(page.__file__).read_text()
    assert len(source.splitlines()) <= 110
    runtime = [n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert {getattr(n, "module", None) for n in runtime} <= {
        "__future__",
        "collections.abc",
        "dataclasses",
        "typing",
        "torch",
    }


def test_a_step_is_gradient_descent() -> None:
    network, twin = model(), model()
    steps(network, number=1, size=48, optimizer=Sgd(lr=0.1))
    ((twin(X) - Y) ** 2).mean().backward()
    for new, old in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(new, old - 0.1 * old.grad, rtol=1e-12, atol=1e-14)


def test_penalties_are_inside_the_loss() -> None:
    network, twin = model(), model()
    (step,) = steps(network, number=1, size=48, penalty=0.01)
    loss, l2 = ((twin(X) - Y) ** 2).mean(), 0.01 * sum((p**2).sum() for p in twin.parameters())
    (loss + l2).backward()
    for new, old in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(new, old - 0.1 * old.grad, rtol=1e-12, atol=1e-14)
    assert float(step.losses["mse"]) == pytest.approx(loss.item(), rel=1e-12)
    assert float(step.penalties["l2"]) == pytest.approx(l2.item(), rel=1e-12)
    assert float(step.total) == pytest.approx((loss + l2).item(), rel=1e-12)


@pytest.mark.parametrize("parts", [2, 4, 5])
def test_accumulation_equals_one_big_batch(parts: int) -> None:
    whole, cut = model(), model()
    one = steps(whole, penalty=0.01)
    many = steps(cut, penalty=0.01, accumulate=parts)
    for a, b in zip(weights(whole), weights(cut), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    for a, b in zip(one, many, strict=True):
        assert float(a.total) == pytest.approx(float(b.total), rel=1e-12)


def test_accumulation_weights_by_real_targets() -> None:
    classes = torch.arange(48) % 3
    classes[5:30] = 9  # ignored: the micro-batches hold very unequal numbers of real targets
    loss = CrossEntropy(ignore_index=9, weights=(1.0, 2.0, 3.0))
    nets = [nn.Linear(3, 3).double() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    steps(nets[0], y=classes, loss=loss, number=4)
    steps(nets[1], y=classes, loss=loss, number=4, accumulate=4)
    for a, b in zip(weights(nets[0]), weights(nets[1]), strict=True):
        assert bool(a.isfinite().all())
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_run_may_start_anywhere() -> None:
    batches = Batches({"x": X}, 10, seed=7)
    whole = [b["x"] for b in itertools.islice(batches.starting_at(0), 23)]
    for start in (1, 4, 5, 9, 17):
        tail = [b["x"] for b in itertools.islice(batches.starting_at(start), 23 - start)]
        assert all(torch.equal(a, b) for a, b in zip(whole[start:], tail, strict=True))


def test_clipping_scales_the_whole_gradient() -> None:
    network, twin = model(), model()
    (step,) = steps(network, number=1, size=48, clip_norm=1e-3)
    ((twin(X) - Y) ** 2).mean().backward()
    norm = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
    assert step.norm is not None
    assert float(step.norm) == pytest.approx(float(norm), rel=1e-12)
    for new, old in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(new, old - 0.1 * old.grad * 1e-3 / (norm + 1e-6), rtol=1e-9, atol=1e-14)


class Scaled(Precision):
    """What float16 does, without its rounding: gradients arrive 1024 times too large."""

    def backward(self, total: Tensor, share: Tensor | float) -> None:
        super().backward(1024 * total, share)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad /= 1024


@pytest.mark.parametrize("clip", [{"clip_norm": 0.5}, {"clip_value": 0.05}])
def test_clipping_comes_after_the_scale_is_taken_back(clip: dict[str, float]) -> None:
    """U36: a gradient that is clipped while it is scaled has the length of the limit whatever its own is."""
    plain, scaled = model(), model()
    one = steps(plain, **clip)
    other = steps(scaled, precision=Scaled(), **clip)
    for a, b in zip(weights(plain), weights(scaled), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert [step.norm for step in one] == [step.norm for step in other]


def test_clipping_by_value_cuts_elements() -> None:
    network, twin = model(), model()
    steps(network, number=1, size=48, clip_value=0.01)
    ((twin(X) - Y) ** 2).mean().backward()
    for new, old in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(new, old - 0.1 * old.grad.clamp(-0.01, 0.01), rtol=1e-12, atol=1e-14)


def test_the_average_follows_the_weights() -> None:
    network = model()
    update = Update("model", Sgd(lr=0.1), [{"params": list(network.parameters())}], [1.0], ema=0.9)
    expected = weights(network)
    for _ in range(3):
        for p in network.parameters():
            p.grad = torch.ones_like(p)
        update.step(Precision(), 0.1, lambda: torch.zeros(()))
        expected = [0.9 * a + 0.1 * w for a, w in zip(expected, weights(network), strict=True)]
    for a, b in zip(update.average, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    before = weights(network)
    update.swap()
    for p, b in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach(), b, rtol=1e-12, atol=1e-14)
    update.swap()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(network), strict=True))


def test_decoupled_decay_shrinks_beside_the_step() -> None:
    network = nn.Linear(2, 2, bias=False).double()
    start = network.weight.detach().clone()
    update = Update("model", Adam(lr=0.5), [{"params": [network.weight]}], [1.0], decay=[(0.2, [network.weight])])
    network.weight.grad = torch.zeros_like(network.weight)
    update.step(Precision(), 0.5, lambda: torch.zeros(()))
    torch.testing.assert_close(network.weight.detach(), start * (1 - 0.5 * 0.2), rtol=1e-12, atol=0)


def test_groups_follow_the_schedule_at_their_scale() -> None:
    network = model()
    first, second = list(network.parameters())[:2], list(network.parameters())[2:]
    update = Update("model", Sgd(lr=0.1), [{"params": first}, {"params": second, "lr": 0.2}], [1.0, 2.0])
    for p in network.parameters():
        p.grad = torch.ones_like(p)
    before = weights(network)
    update.step(Precision(), 0.03, lambda: torch.zeros(()))
    moved = [float((a - b).flatten()[0]) for a, b in zip(before, weights(network), strict=True)]
    assert moved == pytest.approx([0.03, 0.03, 0.06, 0.06], rel=1e-9)


def test_the_learning_rate_of_a_step_is_the_schedules() -> None:
    done = steps(model(), number=5, schedule=Exponential(gamma=0.5))
    assert [s.rate for s in done] == pytest.approx([0.1, 0.05, 0.025, 0.0125, 0.00625])


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}])
def test_a_loss_that_is_no_number_stops_before_the_update(options: dict[str, float]) -> None:
    network = model()
    x = X.clone()
    x[0, 0] = float("nan")
    before = weights(network)
    with pytest.raises(NonFinite, match="the loss is nan"):
        steps(network, number=1, size=48, x=x, **options)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(network), strict=True))


def test_gradients_stay_readable_until_the_next_step() -> None:
    network = model()
    networks, optimizer = {"model": network}, Sgd(lr=0.1)
    update = Update("model", optimizer, [{"params": list(network.parameters())}], [1.0])
    task = Supervised().start([WeightedLoss(part=Mse())], "value", Facts())
    batches = Batches({"x": X, "y": Y}, 16, seed=3)
    penalties = Penalties([], {"model": parameters(networks)})
    loop = train(
        networks,
        task,
        penalties,
        [update],
        LearningRate(None, "step", 0.1, 3, 3),
        batches,
        Precision(),
        Parallel(),
        steps=3,
    )
    norms = [float(update.gradient_norm()) for _ in loop]
    assert len(norms) == 3
    assert all(norm > 0 for norm in norms)
