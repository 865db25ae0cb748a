"""Planted defects: precision, second derivatives, single elements of large tensors, what is left out."""

from __future__ import annotations

import torch
from defects.planted import Planted, plant, randn, ruled
from torch import Tensor, nn
from torch.nn import functional as F


@plant("S01 backward is right, and its own derivative is zero")
def constant_backward() -> Planted:
    return Planted(
        ruled(torch_sin, lambda g, x: g * x.detach().cos()), ruled(torch_sin, lambda g, x: g * x.cos()), (randn(4, 3),)
    )


def torch_sin(x: Tensor) -> Tensor:
    return x.sin()


@plant("S02 backward is right, and its own backward is wrong")
def wrong_second() -> Planted:
    def cube(x: Tensor) -> Tensor:
        return x**3

    def of(factor: float):
        slope = ruled(lambda g, x: 3 * g * x.square(), lambda h, g, x: (3 * h * x.square(), factor * h * g * x))
        return ruled(cube, lambda g, x: slope(g, x))

    return Planted(of(3.0), of(6.0), (randn(4, 3),))


@plant("S02 backward is right, and its own backward by the incoming gradient is wrong")
def wrong_incoming() -> Planted:
    def of(factor: float):
        slope = ruled(lambda g, x: g * x.cos(), lambda h, g, x: (factor * h * x.cos(), -h * g * x.sin()))
        return ruled(torch_sin, lambda g, x: slope(g, x))

    return Planted(of(0.5), of(1.0), (randn(4, 3),))


@plant("S02 a gradient whose derivative is not symmetric")
def asymmetric() -> Planted:
    def product(x: Tensor, y: Tensor) -> Tensor:
        return (x * y).sum()

    return Planted(
        ruled(product, lambda g, x, y: (g * y.detach(), g * x)), ruled(product, lambda g, x, y: (g * y, g * x)),
        (randn(4), randn(4, seed=1)),
    )  # fmt: skip


@plant("S03 a cast to float32 inside")
def hidden_cast() -> Planted:
    return Planted(
        lambda x: x.float().sin().double(), lambda x: x.sin(), (randn(4, 3),), verdict="precision"
    )  # fmt: skip


@plant("S03 a constant of float32 in backward")
def short_constant() -> Planted:
    third = float(torch.tensor(1 / 3))
    return Planted(
        ruled(lambda x: x**2 / 6, lambda g, x: g * x * third), ruled(lambda x: x**2 / 6, lambda g, x: g * x / 3),
        (randn(4, 3),), verdict="precision",
    )  # fmt: skip


@plant("S04 a gradient 5e-4 too large")
def slightly_off() -> Planted:
    return Planted(
        ruled(torch_sin, lambda g, x: 1.0005 * g * x.cos()), ruled(torch_sin, lambda g, x: g * x.cos()), (randn(4, 3),)
    )


def weighted(rows: int, columns: int, spoilt) -> Planted:
    x = randn(2, columns, seed=1)

    def forward(w: Tensor) -> Tensor:
        return F.linear(x.to(w), w).tanh()

    def backward(g: Tensor, w: Tensor) -> Tensor:
        y = F.linear(x.to(w), w).tanh()
        return (g * (1 - y.square())).T @ x.to(w)

    return Planted(
        ruled(forward, lambda g, w: spoilt(backward(g, w))), ruled(forward, backward), (randn(rows, columns) / 10,)
    )


@plant("S05 one element of 12,000 of a gradient is doubled")
def one_element() -> Planted:
    def doubled(gradient: Tensor) -> Tensor:
        factors = torch.ones_like(gradient)
        factors[77, 31] = 2
        return gradient * factors

    return weighted(120, 100, doubled)


@plant("S06 a noise of 2 % on a gradient of 12,000 elements")
def noise() -> Planted:
    return weighted(120, 100, lambda gradient: gradient * (1 + 0.02 * randn(*gradient.shape, seed=9).to(gradient)))


@plant("S07 a gradient of 40 by 40 is transposed")
def transposed() -> Planted:
    return weighted(40, 40, lambda gradient: gradient.T)


class Scaled(nn.Module):
    def __init__(self, used: bool) -> None:
        super().__init__()
        self.used = used
        self.inner = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.tensor([1.5, 0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.scale if self.used else self.inner(x)


@plant("S08 a parameter never enters the result")
def unused() -> Planted:
    return Planted(Scaled(False), Scaled(True), (randn(4, 3),))


@plant("S08 an input never enters the result")
def unused_input() -> Planted:
    return Planted(lambda x, w: x.sin(), lambda x, w: (x * w).sin(), (randn(4), randn(4, seed=1)))


@plant("S08 a weight is detached by mistake")
def detached_weight() -> Planted:
    class Layer(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight.detach(), self.bias)

    return Planted(Layer(3, 2), nn.Linear(3, 2), (randn(4, 3),), verdict="detached")


@plant("S08 a second output is detached")
def second_output() -> Planted:
    return Planted(
        lambda x: (x.sin(), x.square().detach()), lambda x: (x.sin(), x.square()), (randn(4),),
        verdict="detached-output",
    )  # fmt: skip


@plant("S08 backward under no_grad inside a method that is bound")
def bound_method() -> Planted:
    class Holder:
        def __init__(self, frozen: bool) -> None:
            self.frozen = frozen
            self.layer = nn.Linear(3, 2).double()

        def loss(self, x: Tensor) -> Tensor:
            with torch.set_grad_enabled(not self.frozen):
                hidden = self.layer(x).tanh()
            return hidden.sum() + x.sum()

    return Planted(Holder(True).loss, Holder(False).loss, (randn(4, 3),))


@plant("S08 backward ignores what comes in")
def ignores_incoming() -> Planted:
    return Planted(
        ruled(lambda x: x.exp().sum(), lambda g, x: x.exp()), ruled(lambda x: x.exp().sum(), lambda g, x: g * x.exp()),
        (randn(4),),
    )  # fmt: skip


@plant("S08 a gradient of two outputs mixes them up")
def mixed_outputs() -> Planted:
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.sin(), x.cos()

    return Planted(
        ruled(both, lambda a, b, x: b * x.cos() - a * x.sin()), ruled(both, lambda a, b, x: a * x.cos() - b * x.sin()),
        (randn(4),),
    )  # fmt: skip
