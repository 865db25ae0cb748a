"""Pooling by the mean."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

from pydantic import PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Axes, per_axis, placed, windows
from gradtrain.components.layers.max_pool import pooled
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class AvgPool(Layer):
    """Keeps the mean of every window.

    value     y[p] = mean over k of x[stride p + k]
    gradient  dx[q] = Σ of g[p] / (elements of a window)  over the windows p that hold q
    paper     LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11):2278-2324, doi:10.1109/5.726791
    shape     [batch, channel, length] or [batch, channel, height, width]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((3, 7), (2, 6, 5))
    cases = [{"kernel": 2}, {"kernel": 3, "stride": 2}, {"kernel": (2, 3), "stride": 1}]

    kernel: PositiveInt | Axes
    """Size of the window, one number or one an axis, in elements."""
    stride: PositiveInt | Axes | None = None
    """Distance between two windows; by default the kernel, so that they do not overlap."""

    def _geometry(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        kernel = per_axis(self.kernel, rank, "kernel")
        return kernel, kernel if self.stride is None else per_axis(self.stride, rank, "stride")

    def output_shape(self, shape: Shape) -> Shape:
        return pooled(self.name(), shape, *self._geometry(len(shape) - 1), 0)

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        kernel, stride = self._geometry(len(shape) - 1)
        cls: Any = nn.AvgPool1d if len(shape) == 2 else nn.AvgPool2d
        return cls(kernel, stride)  # type: ignore[no-any-return]

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        rank = x.ndim - 2
        kernel, stride = self._geometry(rank)
        return windows(x, kernel, stride, (1,) * rank).flatten(2 + rank).mean(dim=-1)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        rank = x.ndim - 2
        kernel, stride = self._geometry(rank)
        shares = (
            (g / prod(kernel))
            .reshape(*g.shape[:2], *[1] * rank, *g.shape[2:])
            .expand(*g.shape[:2], *kernel, *g.shape[2:])
        )
        return {"x": placed(shares, tuple(x.shape[2:]), kernel, stride, ((0, 0),) * rank, (1,) * rank)}
