"""From one shape to another."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class Reshape(Layer):
    """Lays the numbers of a sample out in another shape, in the same order.

    value     y = the elements of x in order, in the shape `into`
    gradient  dx = g in the shape of x
    shape     [batch, ...] → [batch, *into]; the batch axis is not written
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (5, 4), (4, 5, 5))
    cases = [{"into": (2, 3)}, {"into": (20,)}, {"into": (10, 5, 2)}]

    into: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=4)]
    """The new shape of one sample, channels first."""

    def output_shape(self, shape: Shape) -> Shape:
        if prod(shape) != prod(self.into):
            raise Misfit(
                f"`reshape` cannot lay the {prod(shape)} numbers of {list(shape)} out as {list(self.into)}, "
                f"which holds {prod(self.into)}",
                f"let the layer before it give {prod(self.into)} numbers, or write another shape",
            )
        return self.into

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Reshape as Module

        return Module(self.output_shape(shape))

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x.reshape(len(x), *self.into)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": g.reshape(x.shape)}
