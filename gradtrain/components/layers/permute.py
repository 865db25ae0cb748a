"""Axes in another order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt, field_validator

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class Permute(Layer):
    """Puts the axes of a sample into another order: `permute: [2, 1]` makes time steps of channels and back.

    value     axis a of y = axis axes_a of x;  axes count from 1, the batch axis stays first
    gradient  dx = g with its axes put back
    paper     PyTorch documentation, torch.permute
    shape     [batch, ...] → [batch, ...]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((5, 4), (2, 3, 4))
    cases = [{"axes": (2, 1)}, {"axes": (2, 3, 1)}]

    axes: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=4)]
    """Which axis of the input stands at each place, counted from 1."""

    @field_validator("axes")
    @classmethod
    def _names_every_axis_once(cls, axes: tuple[int, ...]) -> tuple[int, ...]:
        if sorted(axes) != list(range(1, len(axes) + 1)):
            raise ValueError(f"`axes` names every axis from 1 to {len(axes)} once, found {list(axes)}")
        return axes

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != len(self.axes):
            raise Misfit(
                f"`permute` names {len(self.axes)} axes {list(self.axes)}, its input {list(shape)} has {len(shape)}",
                "name every axis once; the batch axis does not count",
            )
        return tuple(shape[axis - 1] for axis in self.axes)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Permute as Module

        self.output_shape(shape)
        return Module(self.axes)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x.permute(0, *self.axes)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": g.permute(0, *(1 + self.axes.index(axis) for axis in range(1, len(self.axes) + 1)))}
