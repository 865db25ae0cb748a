"""What a disagreement is worth: a kink between the steps, a corner at the point, or a defect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import gradtrain
from gradtrain.gradcheck.probe import Probe
from gradtrain.gradcheck.reverse import compare, pulls
from gradtrain.gradcheck.singular import judged, unit_direction


class Slope(torch.autograd.Function):
    """max(x, 0) whose derivative at 0 is what one says, and 5 % too large elsewhere where one says so."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, at_zero: float, elsewhere: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slopes = at_zero, elsewhere
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        at_zero, elsewhere = ctx.slopes
        return g * torch.where(x == 0, at_zero, (x > 0) * elsewhere), None, None


def hinge(at_zero: float = 0.0, elsewhere: float = 1.0) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        answer: Tensor = Slope.apply(x, at_zero, elsewhere)
        return answer

    return function


def verdict(function: Callable[[Tensor], Tensor], values: Any, along: Any = None, seed: int = 0) -> Any:
    """The judgement of one direction."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.as_tensor(values, dtype=torch.float64).requires_grad_()
    probe = Probe({"x": x}, lambda point: function(point["x"]))
    shape = probe.at({"x": x.detach()})["output"].shape
    (pull,) = pulls(probe, [("", {"output": torch.ones(shape, dtype=torch.float64)})])
    u = torch.randn(x.shape, generator=generator, dtype=torch.float64) if along is None else torch.as_tensor(along)
    direction = {"x": u.double()}
    (found,) = compare(probe, direction, [pull])
    return found if found.verdict == "pass" else judged(probe, direction, pull, found, generator)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (F.relu, [0.0, 1.0, -1.0]), (hinge(0.0), [0.0, 1.0]), (hinge(0.3), [0.0, 1.0]), (hinge(1.0), [0.0, -1.0]),
        (lambda x: x.clamp(-1, 1), [1.0, 0.5]), (F.leaky_relu, [0.0, 2.0]), (F.hardswish, [3.0, 1.0]),
        (lambda x: x.sort().values[:1], [0.7, 0.7, 1.0]),
        (lambda x: x.amax(), [1.0, 1.0, 1.0]),
        (lambda x: F.max_pool1d(x.view(1, 1, -1), 2), [1.0, 1.0]),
    ],
)  # fmt: skip
def test_a_slope_between_the_one_sided_ones_is_a_kink(
    function: Callable[[Tensor], Tensor], values: list[float]
) -> None:
    found = verdict(function, values)
    assert found.verdict == "kink"
    assert "corner" in found.note


@pytest.mark.parametrize(
    ("function", "values"), [(lambda x: torch.maximum(x[:1], x[1:]), [0.7, 0.7]), (torch.norm, [0.0, 0.0])]
)
def test_the_middle_of_the_one_sided_slopes_agrees_with_central_differences(
    function: Callable[[Tensor], Tensor], values: list[float]
) -> None:
    assert verdict(function, values).verdict == "pass"


@pytest.mark.parametrize("at_zero", [-0.1, 1.2, 3.0])
def test_a_slope_outside_them_is_a_defect(at_zero: float) -> None:
    found = verdict(hinge(at_zero), [0.0], [1.0])
    assert found.verdict == "fail"
    assert "outside" in found.note


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7])
def test_a_kink_beside_the_point_hides_neither_the_right_slope_nor_a_wrong_one(gap: float) -> None:
    assert verdict(hinge(), [gap, -gap]).verdict == "pass"
    assert verdict(hinge(elsewhere=1.05), [gap, 2.0]).verdict == "fail"


@pytest.mark.parametrize("seed", range(3))
def test_thousands_of_kinks_beside_the_point(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(400, 30, generator=generator, dtype=torch.float64)
    point = torch.randn(30, generator=generator, dtype=torch.float64)
    assert verdict(lambda x: (w @ x).relu().square().sum(), point).verdict == "pass"
    assert verdict(lambda x: hinge()(w @ x).sum(), point).verdict == "pass"
    assert verdict(lambda x: hinge(elsewhere=1.001)(w @ x).sum(), point).verdict == "fail"


def test_a_jump_is_no_kink_and_never_passes_with_a_slope() -> None:
    class Steps(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.round()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return g

    found = verdict(lambda x: Steps.apply(x), [0.3, 0.8])  # type: ignore[no-untyped-call]
    assert found.verdict == "fail"
    assert verdict(torch.round, [0.3, 0.8]).verdict == "pass"


def test_a_gradient_that_is_not_finite_is_no_corner() -> None:
    assert verdict(lambda x: x.sqrt(), [0.0, 1.0]).verdict == "nonfinite"


def test_a_unit_direction_has_one_element() -> None:
    unit = unit_direction(torch.zeros(2, 3, dtype=torch.float64), 4, 2.5)
    assert unit.tolist() == [[0, 0, 0], [0, 2.5, 0]]


@pytest.mark.parametrize("x", [-8.0, -8.2175, -8.3])
def test_the_roundings_of_a_tail_are_no_derivative(x: float) -> None:
    point = torch.tensor(x, dtype=torch.float64)
    for function in (F.gelu, lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))):
        failures = gradtrain.gradcheck(function, point).failures
        assert {finding.check for finding in failures} == {"float32 gradient"}  # where it has no digit left, truly


def test_a_small_derivative_that_is_no_rounding_must_be_right() -> None:
    x = torch.tensor([-40.0, -45.0], dtype=torch.float64)
    assert not gradtrain.gradcheck(lambda x: x.exp(), x).failures
    assert gradtrain.gradcheck(lambda x: x.exp() * x.exp().detach(), x).failures
