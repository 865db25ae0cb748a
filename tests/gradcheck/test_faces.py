"""What a caller says about a function: textbooks, closed forms and surrogates in every form they may come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gradtrain

X = torch.tensor([[0.3, -1.2, 2.0], [0.7, 0.1, -0.5]], dtype=torch.float64)
Y = torch.tensor([[1.3, 0.2, -0.4], [0.9, -2.1, 0.6]], dtype=torch.float64)


def failed(function: Callable[..., Any], *inputs: Any, **faces: Any) -> set[str]:
    return {f"{f.check} {f.verdict}" for f in gradtrain.gradcheck(function, *inputs, **faces).failures}


def scaled(x: Tensor, y: Tensor) -> Tensor:
    return x * y.sin()


CLOSED: list[tuple[str, Callable[..., Any]]] = [
    ("a tuple", lambda g, x, y: (g * y.sin(), g * x * y.cos())),
    ("a mapping", lambda g, x, y: {"x": g * y.sin(), "y": g * x * y.cos()}),
    ("a part of a mapping", lambda g, x, y: {"y": g * x * y.cos()}),
    ("a hole in a tuple", lambda g, x, y: (None, g * x * y.cos())),
    ("the elementwise derivative", lambda x, y: (y.sin(), x * y.cos())),
    ("anything at all", lambda g, *inputs: (g * inputs[1].sin(), g * inputs[0] * inputs[1].cos())),
]


@pytest.mark.parametrize("form", [form for _, form in CLOSED], ids=[name for name, _ in CLOSED])
def test_a_closed_form_in_every_form(form: Callable[..., Any]) -> None:
    assert failed(scaled, X, Y, gradient=form) == set()


def test_a_wrong_closed_form_is_refused_with_its_element() -> None:
    report = gradtrain.gradcheck(scaled, X, Y, gradient=lambda g, x, y: (g * y.sin(), g * x * y.sin()))
    (finding, *_) = report.failures
    assert finding.check == "closed form of y"
    assert finding.element is not None
    assert "closed form of x" not in {finding.check for finding in report.failures}


@pytest.mark.parametrize(
    ("form", "verdict"),
    [
        (lambda g, x, y: (g * y.sin())[:1], "fail"), (lambda g, x, y: {"z": g}, "fail"), (lambda g, x, y: {}, "fail"),
        (lambda g, x, y: (g * y.sin() * (1 + 1e-9),), "precision"), (lambda g, x, y: (g * y.sin() * torch.nan,), "nonfinite"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_closed_form_that_is_slightly_or_grossly_wrong(form: Callable[..., Any], verdict: str) -> None:
    assert {one.rpartition(" ")[2] for one in failed(scaled, X, Y, gradient=form)} == {verdict}


def test_a_closed_form_by_parameters_of_a_module() -> None:
    net = nn.Linear(3, 2)

    def closed(g: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
        return {"x": g @ weight, "weight": g.T @ x, "bias": g.sum(0)}

    def transposed(g: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
        return {"weight": (x.T @ g).T * 2}

    renamed = lambda g, input, **w: {"input": g @ w["weight"], "bias": g.sum(0)}  # noqa: E731
    assert failed(net, X, gradient=renamed) == set()
    assert failed(net, X, gradient=closed) == {"closed form fail"}
    assert failed(net, X, gradient=transposed) == {"closed form of weight fail"}


def test_several_outputs_give_several_incoming_gradients() -> None:
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.sin(), x.exp().sum()

    assert failed(both, X, gradient=lambda g, x: g[0] * x.cos() + g[1] * x.exp()) == set()
    assert failed(both, X, textbook=lambda x: (x.sin(), x.exp().sum())) == set()
    assert failed(both, X, textbook=lambda x: (x.sin(), x.exp().mean())) >= {"forward of output 1 fail"}
    assert failed(both, X, textbook=lambda x: x.sin()) == {"forward fail"}


def test_a_complex_function_and_its_closed_forms() -> None:
    z = torch.complex(X, Y)
    assert failed(torch.exp, z, textbook=lambda z: z.real.exp() * torch.complex(z.imag.cos(), z.imag.sin())) == set()
    assert failed(torch.abs, z, gradient=lambda g, z: g * z / z.abs()) == set()
    assert failed(torch.exp, z, gradient=lambda g, z: g * z.exp().conj()) == set()
    assert failed(torch.exp, z, gradient=lambda g, z: g * z.exp()) == {"closed form of input fail"}


def test_a_textbook_is_compared_at_drawn_points_too() -> None:
    def overflows(x: Tensor) -> Tensor:
        return x.exp().sum(-1).log()

    assert failed(overflows, X) == set()
    assert failed(overflows, X, textbook=lambda x: x.logsumexp(-1)) == {"forward nonfinite"}
    assert failed(lambda x: x.relu(), X.abs(), textbook=lambda x: x) >= {"forward fail"}


def test_a_keyword_default_is_moved_where_the_textbook_has_it() -> None:
    def leaky(x: Tensor, slope: float = 1.0) -> Tensor:
        return torch.where(x > 0, x, x * 1.0)  # the slope is forgotten

    def textbook(x: Tensor, slope: float = 1.0) -> Tensor:
        return torch.where(x > 0, x, slope * x)

    assert failed(leaky, X, textbook=textbook) == {"forward fail"}
    assert failed(leaky, X, textbook=lambda x: textbook(x)) == set()


def test_a_textbook_that_closes_over_a_float32_module() -> None:
    net = nn.Linear(3, 2)
    assert failed(net, X, textbook=lambda x: F.linear(x, net.weight, net.bias)) == set()
    assert net.weight.dtype == torch.float32


class Quantized(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.round()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g * ctx.factor, None


def quantized(factor: float = 1.0) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        answer: Tensor = Quantized.apply(x, factor)
        return answer

    return function


def test_a_surrogate_is_what_backward_must_be() -> None:
    assert failed(quantized(), X) != set()
    report = gradtrain.gradcheck(quantized(), X, surrogate=lambda x: x)
    assert report.verdict == "intended"
    assert report.ok
    assert failed(quantized(1.01), X, surrogate=lambda x: x) == {"gradient of x fail"}
    assert failed(quantized(-1.0), X, surrogate=lambda x: -x) == set()
    assert failed(lambda x: x.round().detach() + 0 * x, X, surrogate=lambda x: x.detach()) == set()


def test_a_surrogate_with_a_textbook() -> None:
    faces: dict[str, Any] = {"surrogate": lambda x: x, "textbook": lambda x: (x + 0.5).floor()}
    assert failed(quantized(), X, **faces) <= {"forward fail"}  # halves round to even: zeros and ties have none
    faces["textbook"] = lambda x: x.round() + 1
    assert "forward fail" in failed(quantized(), X, **faces)


def test_a_surrogate_of_a_modules_parameters() -> None:
    class Binary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([0.3, -0.2, 1.1]))

        def forward(self, x: Tensor) -> Tensor:
            return x * (self.weight + (self.weight.sign() - self.weight).detach())

    assert failed(Binary(), X) != set()

    def straight(x: Tensor, weight: Tensor) -> Tensor:
        return x * (weight + (weight.sign() - weight).detach())

    assert failed(Binary(), X, surrogate=straight) == set()
    assert failed(Binary(), X, surrogate=lambda x, weight: x * weight.sign()) != set()
