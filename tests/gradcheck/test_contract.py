"""Who checks the checker: planted wrong components are caught and named; right ones never refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, field_validator
from torch import Tensor

from gradtrain import registry
from gradtrain.components.activations import Activation
from gradtrain.components.activations.relu import Relu
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.linear import Linear
from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.losses.huber import Huber
from gradtrain.components.losses.mae import Mae
from gradtrain.components.losses.mse import Mse
from gradtrain.components.regularizers.l2 import L2
from gradtrain.gradcheck import check, check_everything
from gradtrain.problems import Problem


class Planted(torch.autograd.Function):
    """`value(x)` with a derivative of the test's own choice: a mistake that a custom kernel makes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return value(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return g * ctx.slope(x), None, None


def planted(x: Tensor, value: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]) -> Tensor:
    return Planted.apply(x, value, slope)  # type: ignore[no-any-return]


class MseWithoutTwo(Mse):
    cases = [{}]

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return planted(prediction - target, lambda r: r**2, lambda r: r)


class MseClosedFormWithoutTwo(Mse):
    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * (prediction - target)


class L2PushesAway(L2):
    def forward(self, weight: Tensor) -> Tensor:
        return planted(weight, lambda w: w**2, lambda w: -2 * w).sum() * self.strength


class MseHalved(Mse):
    """Value and gradient agree with one another, so that no differencing sees that both are half."""

    cases = [{}]

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(prediction, target, reduction="none") / 2

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * (prediction - target)


class TinyTermMissing(L2):
    """1e-6 of the penalty never reaches the gradient: below every absolute tolerance of 1e-5."""

    def forward(self, weight: Tensor) -> Tensor:
        return (weight**2).sum() * self.strength + 1e-6 * weight.detach().pow(2).sum()

    def textbook(self, weight: Tensor) -> Tensor:
        return (self.strength + 1e-6) * (weight**2).sum()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        return g * 2 * (self.strength + 1e-6) * weight


class HuberForgetsDelta(Huber):
    """The linear part's slope is 1: right for the default delta, wrong for every other."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        d = self.delta
        return planted(
            prediction - target,
            lambda r: torch.where(r.abs() <= d, r**2 / 2, d * (r.abs() - d / 2)),
            lambda r: torch.where(r.abs() <= d, r, r.sign()),
        )


class MeanOverAll(CrossEntropy):
    cases = [{}, {"weights": (0.5, 1.0, 2.0, 3.0)}]

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.forward(prediction, target).mean()


class SingleInside(Activation):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.float()).to(x.dtype)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.tanh(x)

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g * (1 - torch.tanh(x) ** 2)


class DoubleOut(SingleInside):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.double())


class ReluOneAtZero(Relu):
    def forward(self, x: Tensor) -> Tensor:
        return planted(x, torch.relu, lambda x: (x >= 0).to(x.dtype))


class ReluLeaksNearZero(Relu):
    def forward(self, x: Tensor) -> Tensor:
        return planted(x, torch.relu, lambda x: (x > -0.05).to(x.dtype) * (x != 0))


class InPlace(Relu):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(x)
        x.data.clamp_(min=-1)
        return y


class Overflows(Activation):
    cases = [{}, {"beta": 5.0}]

    beta: PositiveFloat = 1.0
    """Sharpness."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(1 + torch.exp(self.beta * x)) / self.beta

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x.clamp(min=0) + torch.log1p(torch.exp(-(self.beta * x).abs())) / self.beta

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g * torch.sigmoid(self.beta * x)


class Crashes(Relu):
    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        raise ZeroDivisionError("no slope today")


class ScalarsOut(Mae):
    """One number a sample, where the family wants one an element."""

    cases = [{}]

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs().sum(dim=1)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs().sum(dim=1)


class Skewed(L2):
    """Reads back as another record than was written."""

    @field_validator("strength")
    @classmethod
    def doubled(cls, value: float) -> float:
        return 2 * value


class Unexplained(Mse):
    """No value, no gradient, no paper, and no full stop"""


WRONG: list[tuple[str, type[registry.Component], str, set[str]]] = [
    ("losses", MseWithoutTwo, "gradient of prediction", {"gradient of prediction"}),
    ("losses", MseClosedFormWithoutTwo, "gradient of prediction", set()),
    ("losses", MseHalved, "forward", {"forward", "gradient of prediction through mean"}),
    ("losses", HuberForgetsDelta, "gradient of prediction", set()),
    ("losses", MeanOverAll, "mean", {"mean", "gradient of prediction through mean"}),
    ("losses", ScalarsOut, "shape", set()),
    ("regularizers", Skewed, "round trip", set()),
    ("losses", Unexplained, "docstring", {"docstring"}),
    ("regularizers", L2PushesAway, "gradient of weight", {"gradient of weight"}),
    ("regularizers", TinyTermMissing, "gradient of weight", {"gradient of weight"}),
    ("activations", SingleInside, "forward", set()),
    ("activations", DoubleOut, "dtype", {"dtype"}),
    ("activations", ReluOneAtZero, "gradient of x", {"gradient of x"}),
    ("activations", ReluLeaksNearZero, "gradient of x", {"gradient of x"}),
    ("activations", InPlace, "inputs kept", set()),
    ("activations", Overflows, "forward", set()),
    ("activations", Crashes, "forward", set()),
]
"""(family, wrong component, a check that must fail, and, for a single mistake, all that may fail)."""

RIGHT: list[tuple[str, type[registry.Component]]] = [
    ("losses", Huber),
    ("losses", Mae),
    ("losses", CrossEntropy),
    ("activations", Relu),
    ("regularizers", L2),
]


@pytest.mark.parametrize(("family", "cls", "named", "only"), WRONG, ids=[row[1].__name__ for row in WRONG])
def test_a_planted_mistake_is_caught_and_named(caught, family, cls, named, only):
    caught(family, cls, named, only)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("family", "cls"), RIGHT, ids=[row[1].__name__ for row in RIGHT])
def test_a_right_component_is_accepted_whatever_the_seed(family, cls, seed):
    assert [f for f in check(family, "right", cls, seed) if not f.ok] == []


def test_what_only_a_case_shows_is_reported_with_that_case():
    failed = [f for f in check("losses", "planted", HuberForgetsDelta) if not f.ok and f.check != "docstring"]
    assert [dict(case) for case in {repr(f.case): f.case for f in failed}.values()] == [{"delta": 0.3}]


def test_what_only_a_kink_shows_is_reported_at_the_kink():
    (failed,) = (f for f in check("activations", "planted", ReluOneAtZero) if f.check == "gradient of x" and not f.ok)
    assert failed.element in {(0, 0), (0, 1)}
    assert failed.expected == failed.at == 0.0
    assert failed.disagree == 2


def test_a_finding_holds_the_evidence():
    failed = next(f for f in check("losses", "planted", MseClosedFormWithoutTwo) if f.check == "gradient of prediction")
    assert failed.verdict == "fail"
    assert failed.got == pytest.approx(2 * failed.expected, rel=1e-12)
    assert failed.relative == pytest.approx(1.0)
    assert failed.disagree == failed.elements == 21
    assert failed.point == "prediction [7, 3] float64, target [7, 3] float64"
    assert failed.digits < 1


def test_an_overflow_is_called_nonfinite():
    failed = [f for f in check("activations", "planted", Overflows) if f.check == "forward" and not f.ok]
    assert {f.verdict for f in failed} == {"nonfinite"}
    assert {repr(f.case) for f in failed} == {"{'beta': 5.0}"}


def test_the_precision_lost_inside_shows_in_the_digits():
    failed = [f for f in check("activations", "planted", SingleInside) if f.check == "forward" and not f.ok]
    assert all(5 < f.digits < 9 for f in failed)


def test_an_exception_is_a_failed_check_that_names_it():
    notes = {f.note for f in check("activations", "planted", Crashes) if not f.ok}
    assert "ZeroDivisionError: no slope today" in notes


def test_a_component_without_cases_is_refused():
    class Silent(Relu):
        cases = []

    assert [f.check for f in check("activations", "planted", Silent) if not f.ok] == ["docstring", "cases"]


@pytest.mark.parametrize("emptied", ["samples", "inputs"])
def test_a_component_that_offers_nothing_to_prove_is_refused(emptied):
    class NoSamples(Mse):
        def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
            return []

    class NoInputs(Linear):
        inputs = ()

    family, cls = {
        "samples": ("losses", NoSamples),
        "inputs": ("layers", NoInputs),
    }[emptied]
    failed = {f.check for f in check(family, "planted", cls) if not f.ok}
    assert "coverage" in failed


def test_the_same_seed_finds_the_same_whatever_else_is_checked():
    whole = check_everything(["regularizers"], seed=3)
    alone = check_everything(["l2"], seed=3)
    assert alone.findings == tuple(f for f in whole.findings if f.component == "l2")
    assert alone.findings != check_everything(["l2"], seed=4).findings


def test_checking_leaves_the_callers_random_numbers_alone(seeded):
    expected = torch.Generator().manual_seed(0)
    check("layers", "dropout", Dropout)
    assert torch.equal(torch.rand(3), torch.rand(3, generator=expected))


def test_names_families_and_both_together_select():
    assert {(r.family, r.name) for r in check_everything(["huber", "layers.linear"]).rows} == {
        ("losses", "huber"),
        ("layers", "linear"),
    }
    assert {r.family for r in check_everything(["linear"]).rows} >= {"layers", "schedules"}
    assert [r.name for r in check_everything(["regularizers"]).rows] == registry.names(
        registry.families()["regularizers"]
    )


def test_rows_arrive_one_by_one():
    rows = []
    report = check_everything(["l1", "l2"], each=rows.append)
    assert rows == report.rows
    assert [row.name for row in rows] == ["l1", "l2"]


def test_an_unknown_name_is_refused_with_a_suggestion():
    with pytest.raises(Problem) as refusal:
        check_everything(["hubr"])
    assert refusal.value.code == "unknown-component"
    assert refusal.value.exit_code == 2
    assert "did you mean `huber`?" in refusal.value.help


def test_every_loss_kind_and_layer_is_reached():
    """A check that looks at nothing passes everything: here forward and a gradient are compared."""
    for family, name in (("losses", "huber"), ("activations", "tanh"), ("layers", "conv"), ("models", "mlp")):
        checks = {f.check for f in check_everything([f"{family}.{name}"]).findings if f.digits is not None}
        assert "forward" in checks
        assert any(c.startswith("gradient of ") for c in checks)
