"""The first step of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class TakeFirst(Layer):
    """Keeps the first step of a sequence, where `class_token` gathers what the whole of it says.

    value     y = x_0
    gradient  dx_0 = g;  0 at all other steps
    shape     [batch, time, features] → [batch, features]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((5, 4), (1, 3))

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise Misfit(f"`take_first` takes [time, features], got {list(shape)}")
        return shape[1:]

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Step

        self.output_shape(shape)
        return Step(0)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x[:, 0]

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        dx = g.new_zeros(x.shape)
        dx[:, 0] = g
        return {"x": dx}
