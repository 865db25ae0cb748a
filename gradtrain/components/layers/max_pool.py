"""Pooling by the maximum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import NonNegativeInt, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Axes, Margins, Windows, pooling
from gradtrain.lazy import F, Tensor, nn
from gradtrain.stage import Shape


class MaxPool(Layer):
    """Keeps the largest value of every window: what was found, not exactly where.

    value     y[p] = max over k of x[stride p + k]
    gradient  dx[q] = Σ of g[p] over the windows p whose (first) largest element is q
    paper     Riesenhuber & Poggio (1999), Nature Neuroscience 2:1019-1025, doi:10.1038/14819
    shape     [batch, channel, length] or [batch, channel, height, width]
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
    """Elements put around the input on both sides that never win, at most half the kernel."""

    def _windows(self, shape: Shape) -> Windows:
        return pooling(self.name(), shape, self.kernel, self.stride, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        return self._windows(shape).output_shape(self.name(), shape, shape[0])

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        windows = self._windows(shape)
        cls: Any = nn.MaxPool1d if len(shape) == 2 else nn.MaxPool2d
        return cls(windows.kernel, windows.stride, tuple(p for p, _ in windows.padding))  # type: ignore[no-any-return]

    def _seen(self, x: Tensor) -> Tensor:
        """[batch, channel, *position, element]."""
        return self._windows(tuple(x.shape[1:])).of(x, around=float("-inf")).flatten(x.ndim)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return self._seen(x).max(dim=-1).values

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        windows, seen = self._windows(tuple(x.shape[1:])), self._seen(x)
        won = F.one_hot(seen.argmax(dim=-1), seen.shape[-1]).to(g.dtype) * g.unsqueeze(-1)
        columns = won.movedim(-1, 2).reshape(*g.shape[:2], *windows.kernel, *g.shape[2:])
        return {"x": windows.back(columns, x.shape[2:])}

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor | None:
        seen = self._seen(x)
        if seen.shape[-1] == 1:
            return None
        best = seen.topk(2, dim=-1).values
        return best[..., 0] - best[..., 1]
