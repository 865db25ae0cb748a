"""Second and higher derivatives: wrong ones are refused, missing ones are not, and torch's own checker agrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradgradcheck
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

import gradtrain
from gradtrain.gradcheck.orders import along, once_only
from gradtrain.gradcheck.probe import Probe

X = torch.tensor([0.3, -1.2, 2.0, 0.7], dtype=torch.float64)


class CubeBackward(torch.autograd.Function):
    """3 x² g, with a backward pass of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, by_x: float, by_g: float) -> Tensor:
        ctx.save_for_backward(x, g)
        ctx.factors = by_x, by_g
        return 3 * x * x * g

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> Any:
        x, g = ctx.saved_tensors
        return ctx.factors[0] * 6 * x * g * h, ctx.factors[1] * 3 * x * x * h, None, None


class Cube(torch.autograd.Function):
    """x³, whose first derivative is right."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, by_x: float, by_g: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.factors = by_x, by_g
        return x**3

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return CubeBackward.apply(x, g, *ctx.factors), None, None


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


class Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * g


def cube(by_x: float = 1.0, by_g: float = 1.0) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        answer: Tensor = Cube.apply(x, by_x, by_g)
        return answer

    return function


def failed(function: Callable[..., Any], *inputs: Any, **options: Any) -> set[str]:
    return {finding.check for finding in gradtrain.gradcheck(function, *inputs, **options).failures}


def test_derivatives_along_a_line_are_those_of_the_polynomial() -> None:
    probe = Probe({"x": X.clone().requires_grad_()}, lambda p: p["x"] ** 3)
    u, w = torch.ones_like(X), torch.full_like(X, 2.0)
    x = X + 0.5
    truth = [2 * x**3, 6 * x**2, 12 * x, torch.full_like(x, 12), torch.zeros_like(x)]
    found = along(probe, {"x": u}, {"output": w}, 0.5, 4)
    assert found == pytest.approx([float(each.sum()) for each in truth])


def test_a_wrong_second_derivative_under_a_right_first_one() -> None:
    assert failed(cube(), X) == set()
    assert "order 2" in failed(cube(by_x=1.01), X)
    assert "order 2" in failed(lambda x: Cut.apply(x), X)
    assert "order 2" not in failed(cube(by_x=1.01), X, order=1)


def test_a_wrong_second_derivative_says_that_the_first_is_right_and_what_to_do() -> None:
    (note,) = (f.note for f in gradtrain.gradcheck(lambda x: Cut.apply(x), X).failures if f.check == "order 2")
    assert "the derivative below is right" in note
    assert "once_differentiable" in note


def test_a_double_backward_that_is_wrong_by_the_incoming_gradient_alone() -> None:
    assert failed(cube(by_g=1.01), X) == {"double backward"}


def test_a_second_derivative_that_is_not_on_offer_is_no_failure() -> None:
    def function(x: Tensor) -> Tensor:
        answer: Tensor = Once.apply(x)
        return answer

    assert failed(function, X) == set()
    probe = Probe({"x": X.clone().requires_grad_()}, lambda p: function(p["x"]))
    assert once_only(probe, {"x": torch.ones_like(X)}, {"output": torch.ones_like(X)})
    other = Probe({"x": X.clone().requires_grad_()}, lambda p: cube()(p["x"]))
    assert not once_only(other, {"x": torch.ones_like(X)}, {"output": torch.ones_like(X)})


@pytest.mark.parametrize("order", [2, 3, 4])
def test_higher_orders_of_right_functions(order: int) -> None:
    for function in (torch.sin, torch.tanh, lambda x: x.softmax(-1), lambda x: x.prod(), F.softplus):
        assert failed(function, X, order=order) == set()


def test_the_third_derivative_is_looked_at_when_it_is_asked_for() -> None:
    class Third(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            return g

    def function(x: Tensor) -> Tensor:
        """x⁴ by a product whose third derivative loses a term that is zero before."""
        rest: Tensor = Third.apply(x)
        return x.detach() * 0 + rest**4

    assert failed(function, X, order=3) == set()

    def cut(x: Tensor) -> Tensor:
        """The second derivative's own path is cut: orders 1 and 2 are right."""

        class Deep(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Tensor) -> Tensor:
                ctx.save_for_backward(x)
                return x**4

            @staticmethod
            def backward(ctx: Any, g: Tensor) -> Any:
                (x,) = ctx.saved_tensors
                return g * (4 * x.detach() ** 3 + 12 * x.detach() ** 2 * (x - x.detach()))

        answer: Tensor = Deep.apply(x)
        return answer

    assert "order 2" not in failed(cut, X, order=2)
    assert "order 3" in failed(cut, X, order=3)


def test_functions_whose_derivatives_end() -> None:
    assert failed(lambda x: 3 * x + 1, X, order=4) == set()
    assert failed(lambda x: x * x, X, order=4) == set()
    assert failed(F.relu, X, order=3) == set()


@pytest.mark.parametrize("name", ["weight norm", "layer norm", "group norm", "prelu", "conv", "bilinear"])
def test_torchs_own_checker_says_the_same_about_a_second_derivative(name: str) -> None:
    generator = torch.Generator().manual_seed(4)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    cases: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
        "weight norm": (lambda v, g: torch._weight_norm(v, g, 0), (draw(2, 3), draw(2, 1))),
        "layer norm": (lambda x, w: F.layer_norm(x, (3,), w), (draw(2, 3), draw(3))),
        "group norm": (lambda x, w: F.group_norm(x, 2, w), (draw(2, 4), draw(4))),
        "prelu": (F.prelu, (draw(2, 3), draw(3))),
        "conv": (F.conv1d, (draw(1, 2, 4), draw(2, 2, 2))),
        "bilinear": (F.bilinear, (draw(2, 2), draw(2, 3), draw(2, 2, 3))),
    }
    function, inputs = cases[name]
    theirs = gradgradcheck(function, [x.clone().requires_grad_() for x in inputs], raise_exception=False)
    ours = not failed(function, *inputs) & {"order 2", "Hessian symmetry", "forward over reverse"}
    assert ours == theirs
