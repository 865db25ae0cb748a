"""Cutting the border off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import NonNegativeInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Margins, by, per_axis
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class Crop(Layer):
    """Cuts a border off on all sides and keeps the middle.

    value     y[i] = x[size + i]
    gradient  dx[size + i] = g[i];  0 at the border
    paper     Ronneberger, Fischer & Brox (2015), MICCAI, arXiv:1505.04597
    shape     [batch, channel, length] or [batch, channel, height, width] → 2 size shorter
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((2, 5), (2, 3, 4))
    cases = [{"size": 1}, {"size": (1, 0)}, {"size": 0}]

    size: NonNegativeInt | Margins
    """Width of the border, one number or one an axis, in elements."""

    def _margins(self, shape: Shape) -> tuple[int, ...]:
        return per_axis(self.name(), "size", self.size, shape)

    def output_shape(self, shape: Shape) -> Shape:
        margins = self._margins(shape)
        after = (shape[0], *(n - 2 * margin for n, margin in zip(shape[1:], margins, strict=True)))
        if any(size < 1 for size in after):
            raise Misfit(
                f"`crop` by {by(margins)} leaves nothing of {list(shape)}: it would become {list(after)}",
                "cut less off",
            )
        return after

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Crop as Module

        self.output_shape(shape)
        return Module(self._margins(shape))

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        after = self.output_shape(tuple(x.shape[1:]))
        for axis, (margin, size) in enumerate(zip(self._margins(tuple(x.shape[1:])), after[1:], strict=True), start=2):
            x = x.narrow(axis, margin, size)
        return x

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        dx = g.new_zeros(x.shape)
        middle = dx
        for axis, margin in enumerate(self._margins(tuple(x.shape[1:])), start=2):
            middle = middle.narrow(axis, margin, g.shape[axis])
        middle += g
        return {"x": dx}
