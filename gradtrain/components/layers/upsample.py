"""Enlarging an image or a signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Axes, per_axis
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Upsample(Layer):
    """Makes an image or a signal larger: every number is repeated, or the numbers in between lie on straight lines.

    Along every axis of n elements, with s = max(0, (q + 1/2)/factor - 1/2), i = floor(s) and j = min(i + 1, n - 1):

    value     nearest: y[q] = x[floor(q / factor)];  bilinear: y[q] = (1 - (s - i)) x[i] + (s - i) x[j]
    gradient  dx[i] = Σ over q of g[q] times the share of x[i] in y[q]
    paper     PyTorch documentation, nn.Upsample
    shape     [batch, channel, length] or [batch, channel, height, width] → factor times as long
    note      Bilinear is PyTorch's with align_corners=False: pixels are areas, not points. On a signal it is linear.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((2, 4), (2, 3, 4), (1, 1, 1))
    cases = [
        {"factor": 2},
        {"factor": 3, "mode": "bilinear"},
        {"factor": 2, "mode": "bilinear"},
        {"factor": 1, "mode": "bilinear"},
    ]

    factor: PositiveInt | Axes
    """How many times as long every axis becomes, one number or one an axis."""
    mode: Literal["nearest", "bilinear"] = "nearest"
    """Repeat numbers, or draw straight lines between them."""

    def output_shape(self, shape: Shape) -> Shape:
        factors = per_axis(self.name(), "factor", self.factor, shape)
        return (shape[0], *(size * factor for size, factor in zip(shape[1:], factors, strict=True)))

    def build(self, shape: Shape) -> nn.Module:
        factors = tuple(float(factor) for factor in per_axis(self.name(), "factor", self.factor, shape))
        mode = "linear" if self.mode == "bilinear" and len(shape) == 2 else self.mode
        return nn.Upsample(scale_factor=factors, mode=mode)

    def _shares(self, size: int, factor: int) -> Tensor:
        """[factor · size, size]: the share of every input element in every output element along one axis."""
        q = torch.arange(factor * size)
        elements = torch.arange(size)
        if self.mode == "nearest":
            return (q[:, None] // factor == elements).double()
        s = ((q.double() + 0.5) / factor - 0.5).clamp(min=0)[:, None]
        whole = s.floor()
        after = (whole + 1).clamp(max=size - 1)
        return (1 - (s - whole)) * (elements == whole) + (s - whole) * (elements == after)

    def _matrices(self, x: Tensor) -> list[Tensor]:
        factors = per_axis(self.name(), "factor", self.factor, tuple(x.shape[1:]))
        return [self._shares(size, factor).to(x.dtype) for size, factor in zip(x.shape[2:], factors, strict=True)]

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        for axis, shares in enumerate(self._matrices(x), start=2):
            x = torch.tensordot(x, shares, dims=([axis], [1])).movedim(-1, axis)
        return x

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        for axis, shares in enumerate(self._matrices(x), start=2):
            g = torch.tensordot(g, shares.to(g.dtype), dims=([axis], [0])).movedim(-1, axis)
        return {"x": g}
