"""From any shape to a vector."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class Flatten(Layer):
    """Lays all axes of a sample out in one row; a vector stays as it is.

    value     y = the elements of x in order
    gradient  dx = g in the shape of x
    shape     [batch, ...] → [batch, features]
    """

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def build(self, shape: Shape) -> nn.Module:
        return nn.Flatten()

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x.reshape(len(x), -1)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": g.reshape(x.shape)}
