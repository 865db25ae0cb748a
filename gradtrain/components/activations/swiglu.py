"""The gated unit with a silu."""

from __future__ import annotations

from typing import ClassVar

from gradtrain.components.activations import Activation
from gradtrain.components.activations._gates import axis, halved, halves
from gradtrain.lazy import F, Tensor, torch
from gradtrain.stage import Shape


class Swiglu(Activation):
    """A gated unit whose gate is a silu: one half of the features weighs the other, without a limit.

    With x = (a, b), the halves of the features, σ the sigmoid:

    value     a b σ(b)
    gradient  da = g b σ(b),  db = g a σ(b) (1 + b (1 - σ(b)))
    paper     Shazeer (2020), arXiv:2002.05202
    shape     half as many features, as in `glu`
    note      The gate alone; the paper's layer puts one linear map before and one after it.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (5, 4), (4, 3, 3))

    def output_shape(self, shape: Shape) -> Shape:
        return halved("swiglu", shape)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=axis(x))
        return a * F.silu(b)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        a, b = halves(x)
        return a * b / (1 + torch.exp(-b))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        a, b = halves(x)
        s = 1 / (1 + torch.exp(-b))
        return torch.cat([g * b * s, g * a * s * (1 + b * (1 - s))], dim=axis(x))
