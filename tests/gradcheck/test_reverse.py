"""One direction of reverse mode against differences: its verdict, its bound, its digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain.gradcheck.probe import Probe
from gradtrain.gradcheck.reverse import Measured, compare, decide, pulls, sided, turns


class Scaled(torch.autograd.Function):
    """x² whose derivative is multiplied by 1 + error, everywhere or in one element."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, error: float, only: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.error, ctx.only = error, only
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        factor = torch.ones_like(x)
        factor.view(-1)[slice(None) if ctx.only < 0 else slice(ctx.only, ctx.only + 1)] += ctx.error
        return 2 * x * g * factor, None, None


def measured(function: Callable[[Tensor], Tensor], x: Tensor, seed: int = 0) -> Measured:
    generator = torch.Generator().manual_seed(seed)
    probe = Probe({"x": x.detach().requires_grad_()}, lambda point: function(point["x"]))
    shape = probe.at({"x": x})["output"].shape
    weights = {"output": torch.randn(shape, generator=generator, dtype=torch.float64).to(x.dtype)}
    (pull,) = pulls(probe, [("", weights)])
    direction = {"x": torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype)}
    return compare(probe, direction, [pull])[0]


def scaled(error: float, only: int = -1) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        answer: Tensor = Scaled.apply(x, error, only)
        return answer

    return function


def spread(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "sine": torch.sin, "exponential": torch.exp, "softmax": lambda x: x.softmax(-1), "tanh": torch.tanh,
    "log-sum-exp": lambda x: x.logsumexp(-1), "cancelling": lambda x: (x + 1e6) - 1e6, "flat": lambda x: x * 0,
    "steep": lambda x: (50 * x).tanh(), "product": lambda x: x.prod(-1), "tiny": lambda x: 1e-30 * x.sin(),
    "matrix": lambda x: x @ x.T, "constant beside it": lambda x: x.sin() + 1e8, "fast": lambda x: (1000 * x).sin(),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_passes_and_the_bound_holds(name: str) -> None:
    found = measured(SMOOTH[name], spread(3, 4))
    assert found.verdict == "pass"
    assert abs(found.automatic - found.numeric) <= 8 * found.error + 1e-6 * found.scale


@pytest.mark.parametrize("error", [1.0, 1e-2, 1e-4, 1e-6, 1e-8, -1e-8])
def test_a_relative_error_of_a_gradient_is_seen_down_to_eight_digits(error: float) -> None:
    found = measured(scaled(error), spread(3, 4))
    assert found.verdict == "fail"
    truth = found.automatic / (1 + error)
    assert found.numeric == pytest.approx(truth, rel=1e-9)
    assert found.digits == pytest.approx(-math.log10(abs(error)), abs=1.2)


def test_one_element_of_many_thousands_is_seen() -> None:
    x = spread(100, 120)
    assert measured(scaled(1.0, only=777), x).verdict == "fail"
    assert measured(scaled(0.0, only=777), x).verdict == "pass"


def test_in_single_precision_a_right_gradient_passes_and_one_a_percent_off_does_not() -> None:
    x = spread(3, 4, dtype=torch.float32)
    for seed in range(10):
        assert measured(scaled(0.0), x, seed).verdict == "pass"
        assert measured(scaled(0.02), x, seed).verdict == "fail"


def test_noise_that_hides_a_slope_is_never_a_pass() -> None:
    noise = torch.Generator().manual_seed(2)

    def rough(x: Tensor) -> Tensor:
        return x.sin() + 0.1 * torch.rand(x.shape, generator=noise, dtype=x.dtype)

    assert measured(rough, spread(5)).verdict == "unresolved"


def test_a_gradient_that_is_not_finite() -> None:
    assert measured(lambda x: x.abs().sqrt(), torch.zeros(3, dtype=torch.float64)).verdict == "nonfinite"


def test_several_pulls_share_their_evaluations() -> None:
    calls = [0]

    def call(point: Any) -> Any:
        calls[0] += 1
        return point["x"].sin(), point["x"].exp()

    probe = Probe({"x": spread(3).requires_grad_()}, call)
    one = torch.ones(3, dtype=torch.float64)
    each = pulls(probe, [("", {"output 0": one, "output 1": one}), ("output 1", {"output 1": one})])
    before = calls[0]
    joint, alone = compare(probe, {"x": one}, each)
    together = calls[0] - before
    assert joint.verdict == alone.verdict == "pass"
    assert alone.numeric == pytest.approx(float(spread(3).exp().sum()))
    compare(probe, {"x": one}, each[:1])
    assert together <= calls[0] - before - together + 2


def test_a_leaf_without_a_path_is_not_connected_and_sparse_gradients_are_made_dense() -> None:
    table = spread(5, 2).requires_grad_()
    other = spread(3).requires_grad_()
    rows = torch.tensor([1, 1, 4])
    probe = Probe(
        {"table": table, "other": other},
        lambda point: torch.nn.functional.embedding(rows, point["table"], sparse=True),
    )
    (pull,) = pulls(probe, [("", {"output": torch.ones(3, 2, dtype=torch.float64)})])
    assert pull.connected == {"table"}
    assert pull.gradient["table"].sum(1).tolist() == [0, 4, 0, 0, 2]
    assert not pull.gradient["other"].any()


def test_a_line_whose_slopes_differ_turns() -> None:
    assert turns(lambda t: [abs(t)], 1e-16)
    assert not turns(lambda t: [math.sin(t)], 1e-16)


def test_one_sided_slopes() -> None:
    probe = Probe({"x": torch.zeros(1, dtype=torch.float64, requires_grad=True)}, lambda p: p["x"].clamp(min=0) * 3)
    (pull,) = pulls(probe, [("", {"output": torch.ones(1, dtype=torch.float64)})])
    both = sided(probe, {"x": torch.ones(1, dtype=torch.float64)}, pull)
    assert both is not None
    assert [slope.value for slope in both] == [0.0, 3.0]


def test_a_decision_about_a_plain_number() -> None:
    assert decide(lambda t: [math.exp(t) - 1], 1.0, 1.0, 2.2e-16).verdict == "pass"
    assert decide(lambda t: [math.exp(t) - 1], 1.0 + 1e-7, 1.0, 2.2e-16).verdict == "fail"
    assert decide(lambda t: [math.nan], 1.0, 1.0, 2.2e-16).verdict == "unresolved"
