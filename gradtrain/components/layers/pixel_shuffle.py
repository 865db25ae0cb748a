"""Channels laid out as pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class PixelShuffle(Layer):
    """Turns channels into a larger image: factor² channels become a square of factor by factor pixels.

    With row and column offsets a and b from 0 to factor - 1:

    value     y_c[factor i + a, factor j + b] = x_(c factor² + a factor + b)[i, j]
    gradient  dx_(c factor² + a factor + b)[i, j] = g_c[factor i + a, factor j + b]
    paper     Shi et al. (2016), CVPR, arXiv:1609.05158
    shape     [batch, factor² channel, height, width] → [batch, channel, factor height, factor width]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4, 2, 3), (18, 2, 1))
    cases = [{"factor": 2}, {"factor": 3}, {"factor": 1}]

    factor: PositiveInt
    """How many times as high and wide the image becomes."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise Misfit(f"`pixel_shuffle` takes [channels, height, width], got {list(shape)}")
        channels, rest = divmod(shape[0], self.factor**2)
        if rest or not channels:
            raise Misfit(
                f"`pixel_shuffle` by {self.factor} lays {self.factor**2} channels out as pixels of one: the "
                f"{shape[0]} channels of {list(shape)} do not divide into that",
                f"make the channels a multiple of {self.factor**2}",
            )
        return (channels, self.factor * shape[1], self.factor * shape[2])

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        return nn.PixelShuffle(self.factor)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        r = self.factor
        y = x.new_zeros(len(x), *self.output_shape(tuple(x.shape[1:])))
        for a in range(r):
            for b in range(r):
                y[:, :, a::r, b::r] = x[:, a * r + b :: r * r]
        return y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        r = self.factor
        dx = g.new_zeros(x.shape)
        for a in range(r):
            for b in range(r):
                dx[:, a * r + b :: r * r] = g[:, :, a::r, b::r]
        return {"x": dx}
