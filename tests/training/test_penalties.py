"""Penalties on outputs and on slopes, and constraints: totals by hand, derivatives by differences, and no leaks."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.objectives import Task
from gradtrain.components.optimizers import Optimizer
from gradtrain.components.optimizers.adam import Adam
from gradtrain.components.optimizers.lbfgs import Lbfgs
from gradtrain.components.optimizers.sam import Sam
from gradtrain.components.regularizers import Regularizer
from gradtrain.components.regularizers.activity import Activity
from gradtrain.components.regularizers.entropy import Entropy
from gradtrain.components.regularizers.gradient_penalty import GradientPenalty
from gradtrain.components.regularizers.jacobian import Jacobian
from gradtrain.components.regularizers.l2 import L2
from gradtrain.components.regularizers.max_norm import MaxNorm
from gradtrain.components.regularizers.r1 import R1
from gradtrain.problems import Problem
from gradtrain.training.penalties import Applied, Penalties, slope
from gradtrain.training.precision import Precision
from gradtrain.training.selectors import parameters
from gradtrain.training.update import Update


class Seen(Task):
    """Points that a test chooses."""

    def __init__(self, real: Tensor, fake: Tensor | None = None) -> None:
        self.seen = {"real": real} | ({} if fake is None else {"fake": fake})

    def points(self, update: str) -> Mapping[str, Tensor]:
        return self.seen


def critic(outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Softplus(), nn.Linear(4, outputs)).double()


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_differences(network: nn.Module, value: Callable[[], float], step: float = 1e-5) -> Tensor:
    """∂ value / ∂ weights by central differences, one element after the other."""
    slopes = []
    for parameter in network.parameters():
        flat = parameter.detach().view(-1)
        for place in range(flat.numel()):
            before = flat[place].item()
            ends = []
            for sign in (1, -1):
                flat[place] = before + sign * step
                ends.append(value())
            flat[place] = before
            slopes.append((ends[0] - ends[1]) / (2 * step))
    return torch.tensor(slopes, dtype=torch.float64)


def slope_by_differences(network: nn.Module, x: Tensor, step: float = 1e-5) -> Tensor:
    """∂ network(x) / ∂ x of every sample, without autograd."""
    columns = []
    with torch.no_grad():
        for place in range(x.shape[1]):
            aside = torch.zeros_like(x)
            aside[:, place] = step
            columns.append((network(x + aside) - network(x - aside))[:, 0] / (2 * step))
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize(
    ("rule", "published"),
    [
        (GradientPenalty(strength=3.0, at="real"), lambda s: 3 * ((s.norm(dim=1) - 1) ** 2).mean()),
        (GradientPenalty(strength=3.0, at="fake", target=0.2), lambda s: 3 * ((s.norm(dim=1) - 0.2) ** 2).mean()),
        (R1(strength=5.0), lambda s: 5 / 2 * (s.norm(dim=1) ** 2).mean()),
    ],
    ids=["real", "fake", "r1"],
)
def test_a_penalty_on_the_slope_is_what_was_published(rule: Regularizer, published: Callable[[Tensor], Tensor]) -> None:
    network, real, fake = critic(), draw(5, 3), draw(5, 3, seed=2)
    where = fake if getattr(rule, "at", "real") == "fake" else real
    value = slope(rule, network, Seen(real, fake), "model")
    torch.testing.assert_close(value.detach(), published(slope_by_differences(network, where)), rtol=1e-7, atol=0)


@pytest.mark.parametrize(
    ("rule", "outputs"),
    [(GradientPenalty(), 1), (GradientPenalty(target=0.0, at="fake"), 1), (R1(), 1), (Jacobian(strength=0.7), 3),
     (Jacobian(strength=0.7, projections=3), 3)],
    ids=["interpolates", "fake", "r1", "jacobian", "jacobian-3"],
)  # fmt: skip
def test_the_second_derivative_is_that_of_finite_differences(rule: Regularizer, outputs: int) -> None:
    network, task = critic(outputs), Seen(draw(5, 3), draw(5, 3, seed=2))

    def value() -> Tensor:
        torch.manual_seed(3)  # the same points and directions every time
        return slope(rule, network, task, "model")

    value().backward()
    # The last bias does not change the slope: autograd leaves it without a gradient.
    got = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in network.parameters()])
    expected = by_differences(network, lambda: value().item())
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-7)
    assert float(expected.abs().max()) > 1e-3


def test_the_slope_is_taken_at_a_point_of_its_own_for_every_sample(seeded: torch.Generator) -> None:
    real, fake = draw(400, 2), draw(400, 2, seed=2)
    x = GradientPenalty().points(real, fake)
    share = (x - fake) / (real - fake)
    torch.testing.assert_close(share[:, 0], share[:, 1], rtol=1e-8, atol=1e-8)
    assert float(share.min()) >= 0
    assert float(share.max()) <= 1
    assert float(share[:, 0].std()) == pytest.approx(math.sqrt(1 / 12), rel=0.1)
    assert len(share[:, 0].unique()) == 400
    images = GradientPenalty().points(torch.ones(6, 1, 2, 2), torch.zeros(6, 1, 2, 2))
    assert len(images.unique()) == 6


def test_made_up_samples_that_are_not_there_are_asked_for() -> None:
    with pytest.raises(Problem, match="made-up samples") as refused:
        slope(GradientPenalty(), critic(), Seen(draw(2, 3)), "model")
    assert refused.value.code == "no-fakes"


def test_symbols_have_no_slope() -> None:
    with pytest.raises(Problem, match=r"symbols \(int64\)") as refused:
        slope(R1(), nn.Embedding(4, 2), Seen(torch.tensor([[1, 2]])), "model")
    assert refused.value.code == "no-points"


def test_an_objective_without_points_says_so() -> None:
    with pytest.raises(Problem, match="does not offer the samples"):
        slope(R1(), critic(), Task(), "model")


def test_the_jacobian_penalty_is_the_whole_jacobian_on_average(seeded: torch.Generator) -> None:
    network, x = critic(outputs=3), draw(4, 3)
    rows = [torch.autograd.functional.jacobian(lambda one: network(one[None])[0], sample) for sample in x]
    whole = 0.7 / 2 * torch.stack(rows).square().sum(dim=(1, 2)).mean()
    many = slope(Jacobian(strength=0.7, projections=4000), network, Seen(x), "model")
    one = slope(Jacobian(strength=0.7), network, Seen(x), "model")
    assert many.item() == pytest.approx(whole.item(), rel=0.05)
    assert one.item() != pytest.approx(whole.item(), rel=1e-4)


def test_one_output_needs_no_luck(seeded: torch.Generator) -> None:
    network, x = critic(), draw(4, 3)
    whole = 0.7 / 2 * slope_by_differences(network, x).square().sum(dim=1).mean()
    value = slope(Jacobian(strength=0.7), network, Seen(x), "model")
    torch.testing.assert_close(value.detach(), whole, rtol=1e-7, atol=0)


class Bench:
    """A network, its penalties, and what a loop does with them."""

    def __init__(self, *rules: Regularizer, at: tuple[int, ...] = (), weight: float = 1.0) -> None:
        self.network = critic(outputs=2)
        modules: tuple[nn.Module, ...] = tuple(self.network[i] for i in at) or (self.network,)
        self.applied = [
            Applied(rule.name(), rule, weight, (), modules if rule.of == "output" else (), "model", self.network)
            for rule in rules
        ]
        self.networks = {"model": self.network}
        self.penalties = self.phase()

    def phase(self) -> Penalties:
        return Penalties(self.applied, {"model": parameters(self.networks)})

    def added(self, x: Tensor, penalties: Penalties | None = None) -> tuple[Tensor, Mapping[str, Tensor]]:
        loss = self.network(x).sum()
        total, values = (penalties or self.penalties).added("model", loss, self.networks, Seen(x))
        return total - loss, values


def test_the_penalty_on_the_output_by_hand() -> None:
    bench, x = Bench(Activity(strength=0.3), Entropy(strength=0.2), weight=2.0), draw(5, 3)
    y = bench.network(x).detach().requires_grad_()
    bench.applied[0].listener.heard.clear()
    bench.applied[1].listener.heard.clear()
    p = y.softmax(dim=1)
    activity, entropy = 2 * 0.3 * y.abs().sum() / 5, 2 * 0.2 * (p * p.log()).sum() / 5
    added, values = bench.added(x)
    torch.testing.assert_close(added, activity + entropy, rtol=1e-12, atol=1e-14)
    assert set(values) == {"activity", "entropy"}
    assert values["activity"].item() == pytest.approx(activity.item(), rel=1e-12)
    assert values["entropy"].item() == pytest.approx(entropy.item(), rel=1e-12)
    assert not values["activity"].requires_grad


def test_named_layers_are_penalised_one_by_one() -> None:
    bench, x = Bench(Activity(strength=0.3, norm="l2"), at=(1, 3)), draw(5, 3)
    added, _ = bench.added(x)
    with torch.no_grad():
        first = torch.tanh(bench.network[0](x))
        second = nn.functional.softplus(bench.network[2](first))
    by_hand = 0.3 * (first.square().sum() + second.square().sum()) / 5
    torch.testing.assert_close(added.detach(), by_hand, rtol=1e-12, atol=1e-14)


def test_its_gradient_reaches_the_weights() -> None:
    bench, x = Bench(Activity(strength=0.3, norm="l2"), at=(1,)), draw(5, 3)
    added, _ = bench.added(x)
    added.backward()
    expected = by_differences(bench.network, lambda: 0.3 * torch.tanh(bench.network[0](x)).square().sum().item() / 5)
    got = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in bench.network.parameters()])
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-8)


def test_nothing_is_heard_outside_of_training() -> None:
    bench, x = Bench(Activity(strength=0.3)), draw(5, 3)
    listener = bench.applied[0].listener
    with torch.no_grad():
        bench.network(x)
    bench.network.eval()
    bench.network(x)
    bench.network.train()
    assert listener.heard == []
    bench.network(x)
    assert len(listener.heard) == 1


def test_a_network_that_stands_still_is_not_heard() -> None:
    """A critic is asked while its generator learns: what it says then is not its own doing."""
    bench, x = Bench(Activity(strength=0.3)), draw(5, 3)
    bench.network.requires_grad_(False)
    bench.network(x.clone().requires_grad_())
    bench.network.requires_grad_(True)
    (one, _), (two, _) = bench.added(x), Bench(Activity(strength=0.3)).added(x)
    assert torch.equal(one, two)


def test_every_step_and_every_phase_hears_its_own_outputs_only() -> None:
    bench, later = Bench(Activity(strength=0.3)), None
    for number in range(4):
        later = bench.phase() if number == 2 else later
        x = draw(5, 3, seed=number)
        added, _ = bench.added(x, later)
        added.backward()  # a graph of an earlier step would be gone by now
        assert torch.equal(added.detach(), Bench(Activity(strength=0.3)).added(x)[0].detach())


def test_what_is_said_at_the_points_of_a_slope_is_no_output() -> None:
    bench, x = Bench(R1(), Activity(strength=0.3)), draw(5, 3)
    first, second = bench.added(x)[1], bench.added(x)[1]
    assert torch.equal(first["activity"], second["activity"])
    assert torch.equal(first["r1"], second["r1"])


def test_no_graph_is_kept() -> None:
    bench = Bench(Activity(strength=0.3), R1())
    x = draw(5, 3)
    output = bench.network(x)
    known = weakref.ref(output)
    total, _ = bench.penalties.added("model", output.sum(), bench.networks, Seen(x))
    del total, output
    gc.collect()
    assert known() is None


def test_a_layer_that_is_never_asked_is_a_problem() -> None:
    bench = Bench(Activity(strength=0.3))
    with pytest.raises(Problem, match="found no output to penalise") as refused:
        bench.penalties.added("model", torch.zeros(()), bench.networks, Seen(draw(2, 3)))
    assert refused.value.code == "nothing-heard"


def test_each_update_pays_for_its_own_network() -> None:
    first, second = critic(), critic(outputs=2)
    networks = {"critic": first, "generator": second}
    named = parameters(networks)
    owners = {role: [n for n in named if n.name.startswith(role)] for role in networks}
    applied = [
        Applied("r1", R1(), 1.0, (), (), "critic", first),
        Applied("activity", Activity(strength=1.0), 1.0, (), (second,), "generator", second),
        Applied("l2", L2(strength=1.0), 1.0, tuple(owners["critic"])),
    ]
    penalties, x = Penalties(applied, owners), draw(4, 3)
    second(x)
    assert set(penalties.added("critic", torch.zeros(()), networks, Seen(x))[1]) == {"r1", "l2"}
    assert set(penalties.added("generator", torch.zeros(()), networks, Seen(x))[1]) == {"activity"}
    alone = Penalties(applied, {"critic": owners["critic"]})  # a phase in which the generator rests
    assert set(alone.added("critic", torch.zeros(()), networks, Seen(x))[1]) == {"r1", "l2"}


@pytest.mark.parametrize("rule", [Adam(lr=0.5), Sam(lr=0.5), Lbfgs(max_iter=4)], ids=lambda rule: rule.name())
@pytest.mark.parametrize("ema", [None, 0.5])
def test_a_constraint_holds_after_every_step(rule: Optimizer, ema: float | None) -> None:
    free, held = torch.full((2, 2), 0.2, dtype=torch.float64), torch.full((3, 4), 0.2, dtype=torch.float64)
    weights = [free.requires_grad_(), held.requires_grad_()]
    other = torch.ones(2, requires_grad=True)
    update = Update("model", rule, [{"params": weights}], [1.0], ema=ema)
    update.limit([(MaxNorm(limit=1.5), [held, other])])

    def evaluate() -> Tensor:
        update.zero_grad()
        loss = sum(((w - 7.0) ** 2).sum() for w in weights)
        loss.backward()
        return loss.detach()

    for _ in range(6):
        update.clip(Precision(), evaluate())
        update.step(Precision(), rule.lr, evaluate)
        assert float(held.detach().norm(dim=1).max()) <= 1.5 + 1e-12
    torch.testing.assert_close(held.detach().norm(dim=1), torch.full((3,), 1.5, dtype=torch.float64))
    assert float(free.detach().norm()) > 1.5
    assert float(other.detach().norm()) == pytest.approx(math.sqrt(2))  # another update's
    for average in update.average[1:]:
        assert float(average.norm(dim=1).max()) <= 1.5 + 1e-12


def test_no_constraint_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.ones(2, requires_grad=True)
    update = Update("model", Adam(), [{"params": [weight]}], [1.0])
    update.limit([(MaxNorm(), [torch.ones(2)])])
    calls: list[Any] = []
    monkeypatch.setattr(Update, "constrain", calls.append)
    weight.grad = torch.ones(2)
    update.step(Precision(), 0.1, lambda: torch.zeros(()))
    assert calls == []
