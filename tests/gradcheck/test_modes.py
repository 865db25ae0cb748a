"""Derivatives against derivatives: a defect in one mode is seen in that mode and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import gradtrain
from gradtrain.gradcheck.modes import Missing, dual, exactly, forward_gap, stays, tangents
from gradtrain.gradcheck.probe import Probe
from gradtrain.gradcheck.reverse import pulls


class Square(torch.autograd.Function):
    """x², with everything that a custom function can offer, each part wrong where its factor is not 1."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor, reverse: float, forward: float, mapped: float) -> Tensor:
        return x * x

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        x, ctx.reverse, ctx.onward, ctx.mapped = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return ctx.reverse * 2 * x * g, None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *rest: Any) -> Any:
        (x,) = ctx.saved_tensors
        return ctx.onward * 2 * x * tangent

    @staticmethod
    def vmap(info: Any, dims: Any, x: Tensor, reverse: float, forward: float, mapped: float) -> Any:
        return mapped * Square.apply(x, reverse, forward, mapped), dims[0]  # type: ignore[no-untyped-call]


def square(reverse: float = 1.0, forward: float = 1.0, mapped: float = 1.0) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        answer: Tensor = Square.apply(x, reverse, forward, mapped)  # type: ignore[no-untyped-call]
        return answer

    return function


X = torch.tensor([0.3, -1.2, 2.0, 0.7], dtype=torch.float64)


def failed(function: Callable[..., Any], *inputs: Any) -> set[str]:
    return {f.check for f in gradtrain.gradcheck(function, *inputs).failures if not f.point.startswith("drawn")}


def test_a_function_that_is_right_in_every_mode() -> None:
    report = gradtrain.gradcheck(square(), X)
    assert report.ok
    checks = {finding.check for finding in report.findings}
    assert {"forward mode", "batched gradient", "linearity", "backward twice", "order 2"} <= checks


def test_each_mode_is_told_from_the_others() -> None:
    assert failed(square(forward=1.01), X) >= {"forward mode"}
    assert "gradient of x" not in failed(square(forward=1.01), X)
    assert failed(square(reverse=1.01), X) == {"gradient of x"}
    assert failed(lambda x: square(mapped=1.01)(x).sin(), X) == {"batched gradient"}


def test_mapped_gradients_of_nothing_but_rounding_are_alike() -> None:
    one = (1,)  # a single number less its own mean: what is left of it is rounding, times 1 / sqrt(eps) = 316
    inputs = [torch.tensor([value], dtype=torch.float64) for value in (-4.8, -1.3, -7.58)]
    report = gradtrain.gradcheck(lambda x, w, b: F.layer_norm(x, one, w, b), *inputs)
    assert [finding.verdict for finding in report.findings if finding.check == "batched gradient"] == ["pass"]


def test_forward_mode_that_is_slightly_wrong_is_seen_exactly() -> None:
    assert "forward mode" in failed(square(forward=1 + 1e-8), X)


class Odd(torch.autograd.Function):
    """The identity, with a backward pass of one's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, back: Any) -> Tensor:
        ctx.back = back
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return ctx.back(g), None


def odd(back: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        answer: Tensor = Odd.apply(x, back)
        return answer

    return function


def test_a_backward_pass_that_clips_or_keeps_something_is_not_linear() -> None:
    assert "linearity" in failed(odd(lambda g: g.clamp(-100, 100)), X)
    assert "linearity" in failed(odd(lambda g: g + 1e-12), X)
    assert failed(odd(lambda g: g), X) == set()


def test_a_backward_pass_that_draws_numbers_of_its_own_is_not_the_same_twice() -> None:
    noises = {torch.Generator().manual_seed(0): 0}.keys()  # where no search for generators looks

    def back(g: Tensor) -> Tensor:
        return g * (1 + 1e-11 * torch.rand(g.shape, generator=list(noises)[0], dtype=g.dtype))  # noqa: RUF015

    assert "backward twice" in failed(odd(back), X)


def test_tangents_are_directional_derivatives() -> None:
    probe = Probe({"x": X.clone().requires_grad_()}, lambda p: (p["x"].sin(), p["x"].detach(), p["x"].sum()))
    u = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    found = tangents(probe, {"x": u})
    assert torch.allclose(found["output 0"], X.cos() * u)
    assert not found["output 1"].any()
    assert float(found["output 2"]) == 10


def test_a_mode_that_is_not_there_is_missing_and_its_words_are_the_functions_own() -> None:
    probe = Probe({"x": X.clone().requires_grad_()}, lambda p: odd(lambda g: g)(p["x"]))
    with pytest.raises(Missing):
        tangents(probe, {"x": torch.ones_like(X)})
    (pull,) = pulls(probe, [("", {"output": torch.ones_like(X)})])
    assert not exactly(probe, {"x": torch.ones_like(X)})(pull)
    assert torch.autograd.forward_ad._current_level < 0


def test_the_two_sides_of_a_gap() -> None:
    probe = Probe({"x": X.clone().requires_grad_()}, lambda p: p["x"] ** 3)
    w, u = torch.rand(4, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    (pull,) = pulls(probe, [("", {"output": w})])
    pushed, pulled, mass = forward_gap(pull, tangents(probe, {"x": u}), {"x": u})
    truth = float((w * 3 * X**2 * u).sum())
    assert pushed == pytest.approx(truth, rel=1e-12)
    assert pulled == pytest.approx(truth, rel=1e-12)
    assert mass == pytest.approx(2 * truth, rel=1e-12)


def test_a_gap_of_rounding_does_not_stay() -> None:
    assert stays(1.0, lambda: 0.9)
    assert not stays(1e-16, lambda: -2e-16)
    assert stays(1.0, lambda: 1 / 0)


def test_a_dual_number_is_a_copy() -> None:
    with torch.autograd.forward_ad.dual_level():
        made = dual(X, torch.ones_like(X), grad=True)
        assert made.requires_grad
        assert made.data_ptr() != X.data_ptr()
    assert not X.requires_grad
