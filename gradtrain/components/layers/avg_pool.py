"""Pooling by the mean."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

from pydantic import NonNegativeInt, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Axes, Margins, Windows, pooling
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class AvgPool(Layer):
    """Keeps the mean of every window.

    value     y[p] = mean over k of x[stride p + k]
    gradient  dx[q] = Σ of g[p] / (elements of a window)  over the windows p that hold q
    paper     LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11):2278-2324, doi:10.1109/5.726791
    shape     [batch, channel, length] or [batch, channel, height, width]
    note      The zeros of the padding count in the mean, as in PyTorch; Keras leaves them out.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((3, 7), (2, 6, 5))
    cases = [
        {"kernel": 2},
        {"kernel": 3, "stride": 2, "padding": 1},
        {"kernel": (2, 3), "stride": 1, "padding": (1, 0)},
    ]

    kernel: PositiveInt | Axes
    """Size of the window, one number or one an axis, in elements."""
    stride: PositiveInt | Axes | None = None
    """Distance between two windows; by default the kernel, so that they do not overlap."""
    padding: NonNegativeInt | Margins = 0
    """Zeros put around the input on both sides, at most half the kernel."""

    def _windows(self, shape: Shape) -> Windows:
        return pooling(self.name(), shape, self.kernel, self.stride, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        return self._windows(shape).output_shape(self.name(), shape, shape[0])

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        windows = self._windows(shape)
        cls: Any = nn.AvgPool1d if len(shape) == 2 else nn.AvgPool2d
        return cls(windows.kernel, windows.stride, tuple(p for p, _ in windows.padding))  # type: ignore[no-any-return]

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return self._windows(tuple(x.shape[1:])).of(x).flatten(x.ndim).mean(dim=-1)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        windows = self._windows(tuple(x.shape[1:]))
        share = (g / prod(windows.kernel)).reshape(*g.shape[:2], *[1] * (x.ndim - 2), *g.shape[2:])
        columns = share.expand(*g.shape[:2], *windows.kernel, *g.shape[2:])
        return {"x": windows.back(columns, x.shape[2:])}
