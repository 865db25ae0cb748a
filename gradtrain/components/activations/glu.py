"""The gated linear unit."""

from __future__ import annotations

from typing import ClassVar

from gradtrain.components.activations import Activation
from gradtrain.components.activations._gates import axis, halved, halves
from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Shape


class Glu(Activation):
    """One half of the features says what, the other how much of it passes.

    With x = (a, b), the halves of the features, σ the sigmoid:

    value     a σ(b)
    gradient  da = g σ(b),  db = g a σ(b) (1 - σ(b))
    paper     Dauphin, Fan, Auli & Grangier (2017), ICML, arXiv:1612.08083
    shape     half as many features: the last axis of [batch, features] and [batch, time, features], the channels of
              images
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (5, 4), (4, 3, 3))

    def output_shape(self, shape: Shape) -> Shape:
        return halved("glu", shape)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=axis(x))
        return a * torch.sigmoid(b)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        a, b = halves(x)
        return a / (1 + torch.exp(-b))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        a, b = halves(x)
        s = 1 / (1 + torch.exp(-b))
        return torch.cat([g * s, g * a * s * (1 - s)], dim=axis(x))
