"""Pooling by the maximum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import NonNegativeInt, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Axes, padded, per_axis, placed, window_count, windows
from gradtrain.lazy import F, Tensor, nn
from gradtrain.stage import Misfit, Shape


class MaxPool(Layer):
    """Keeps the largest value of every window: what was found, not exactly where.

    value     y[p] = max over k of x[stride p + k]
    gradient  dx[q] = Σ of g[p] over the windows p whose (first) largest element is q
    paper     Riesenhuber & Poggio (1999), Nature Neuroscience 2:1019-1025, doi:10.1038/14819
    shape     [batch, channel, length] or [batch, channel, height, width]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((3, 7), (2, 6, 5))
    cases = [{"kernel": 2}, {"kernel": 3, "stride": 2, "padding": 1}, {"kernel": (2, 3), "stride": 1}]

    kernel: PositiveInt | Axes
    """Size of the window, one number or one an axis, in elements."""
    stride: PositiveInt | Axes | None = None
    """Distance between two windows; by default the kernel, so that they do not overlap."""
    padding: NonNegativeInt = 0
    """Rows put around the input that never win."""

    def _geometry(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        kernel = per_axis(self.kernel, rank, "kernel")
        return kernel, kernel if self.stride is None else per_axis(self.stride, rank, "stride")

    def output_shape(self, shape: Shape) -> Shape:
        return pooled(self.name(), shape, *self._geometry(len(shape) - 1), self.padding)

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        kernel, stride = self._geometry(len(shape) - 1)
        cls: Any = nn.MaxPool1d if len(shape) == 2 else nn.MaxPool2d
        return cls(kernel, stride, self.padding)  # type: ignore[no-any-return]

    def _seen(self, x: Tensor) -> Tensor:
        rank = x.ndim - 2
        kernel, stride = self._geometry(rank)
        return windows(
            padded(x, ((self.padding, self.padding),) * rank, float("-inf")), kernel, stride, (1,) * rank
        ).flatten(2 + rank)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return self._seen(x).max(dim=-1).values

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        rank = x.ndim - 2
        kernel, stride = self._geometry(rank)
        seen = self._seen(x)
        winner = F.one_hot(seen.argmax(dim=-1), seen.shape[-1]).to(g.dtype) * g.unsqueeze(-1)
        columns = winner.unflatten(-1, kernel).permute(0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
        return {
            "x": placed(
                columns,
                tuple(x.shape[2:]),
                kernel,
                stride,
                ((self.padding, self.padding),) * rank,
                (1,) * rank,
            )
        }

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor | None:
        best = self._seen(x).topk(2, dim=-1).values if self._seen(x).shape[-1] > 1 else None
        return None if best is None else best[..., 0] - best[..., 1]


def pooled(name: str, shape: Shape, kernel: tuple[int, ...], stride: tuple[int, ...], padding: int) -> Shape:
    """The shape after pooling. Raises `Misfit`."""
    if len(shape) not in (2, 3):
        raise Misfit(
            f"`{name}` takes [channels, height, width] or [channels, length], got {list(shape)}",
            "it stands after `flatten`, or the data has no channels" if len(shape) == 1 else "",
        )
    if any(2 * padding > k for k in kernel):
        raise Misfit(f"`{name}` cannot pad {padding} for a kernel of {max(kernel)}: at most half the kernel")
    sizes = tuple(window_count(n, k, s, 2 * padding) for n, k, s in zip(shape[1:], kernel, stride, strict=True))
    if any(size < 1 for size in sizes):
        raise Misfit(
            f"`{name}` with kernel {'x'.join(map(str, kernel))} does not fit an input of {'x'.join(map(str, shape[1:]))} (shape {list(shape)})",
            "pool less before it",
        )
    return (shape[0], *sizes)
