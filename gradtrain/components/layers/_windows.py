"""Windows over the last axes of a tensor, in plain tensor algebra: what convolution and pooling are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Annotated, NamedTuple, TypeAlias

from pydantic import Field, NonNegativeInt, PositiveInt

from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Misfit, Shape

Axes: TypeAlias = Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=2)]
"""One number an axis."""

Margins: TypeAlias = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1, max_length=2)]
"""One number an axis, which may be 0."""


class Windows(NamedTuple):
    """How windows lie over the axes after the channels: one entry an axis.

    An element k of the window at position p is the element `stride p + dilation k` of the padded input.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    """(before, after) every axis."""
    dilation: tuple[int, ...]

    def counts(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """How many windows fit on axes of these sizes; below 1 where none does."""
        return tuple(
            (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, padding, dilation in zip(sizes, *self, strict=True)
        )

    def output_shape(self, name: str, shape: Shape, out: int) -> Shape:
        """The shape with `out` channels and one position a window. Raises `Misfit` where no window fits."""
        sizes = self.counts(shape[1:])
        if any(size < 1 for size in sizes):
            raise Misfit(
                f"`{name}` with kernel {by(self.kernel)}{self._spread()} does not fit an input of {by(shape[1:])}"
                f"{self._around()}: {list(shape)} would become {[out, *sizes]}",
                "use a smaller kernel, more padding, or shrink less before it",
            )
        return (out, *sizes)

    def of(self, x: Tensor, around: float = 0.0) -> Tensor:
        """[batch, channel, *position, *kernel]: the elements of every window, `around` where it reaches outside."""
        sizes = tuple(x.shape[2:])
        whole = x.new_full((*x.shape[:2], *self._whole(sizes)), around)
        whole[self._inside(sizes)] = x
        elements = [whole[self._places(k, sizes)] for k in product(*map(range, self.kernel))]
        return torch.stack(elements, dim=-1).reshape(*elements[0].shape, *self.kernel)

    def back(self, columns: Tensor, sizes: Sequence[int]) -> Tensor:
        """The adjoint of `of`: [batch, channel, *kernel, *position] added up where each element came from."""
        whole = columns.new_zeros(*columns.shape[:2], *self._whole(sizes))
        elements = columns.flatten(2, 1 + len(self.kernel)).unbind(2)
        for k, element in zip(product(*map(range, self.kernel)), elements, strict=True):
            whole[self._places(k, sizes)] += element
        return whole[self._inside(sizes)]

    def _whole(self, sizes: Sequence[int]) -> list[int]:
        return [size + before + after for size, (before, after) in zip(sizes, self.padding, strict=True)]

    def _inside(self, sizes: Sequence[int]) -> tuple[slice, ...]:
        """Where the input lies in its padded self."""
        axes = (slice(before, before + size) for size, (before, _) in zip(sizes, self.padding, strict=True))
        return (slice(None), slice(None), *axes)

    def _places(self, k: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
        """Where the element k of all windows lies in the padded input."""
        axes = zip(k, self.dilation, self.stride, self.counts(sizes), strict=True)
        return (slice(None), slice(None), *(slice(i * d, i * d + s * (n - 1) + 1, s) for i, d, s, n in axes))

    def _spread(self) -> str:
        return f" and dilation {by(self.dilation)}" if any(d > 1 for d in self.dilation) else ""

    def _around(self) -> str:
        return f" padded by {by([before for before, _ in self.padding])}" if any(map(sum, self.padding)) else ""


def pooling(name: str, shape: Shape, kernel: int | Axes, stride: int | Axes | None, padding: int | Margins) -> Windows:
    """The windows of a pooling layer; without a stride they lie side by side. Raises `Misfit`."""
    size = per_axis(name, "kernel", kernel, shape)
    step = size if stride is None else per_axis(name, "stride", stride, shape)
    margin = per_axis(name, "padding", padding, shape)
    if any(2 * p > k for p, k in zip(margin, size, strict=True)):
        raise Misfit(
            f"`{name}` cannot pad an input by {by(margin)} for a kernel of {by(size)}: too far",
            "pad by half the kernel at most",
        )
    return Windows(size, step, tuple((p, p) for p in margin), (1,) * len(size))


def per_axis(name: str, field: str, value: int | Sequence[int], shape: Shape) -> tuple[int, ...]:
    """One number for every axis after the channels. Raises `Misfit` for other inputs than images and signals."""
    if len(shape) not in (2, 3):
        flat = f": {shape[0]} features without channels" if len(shape) == 1 else ""
        raise Misfit(
            f"`{name}` takes [channels, height, width] or [channels, length], got {list(shape)}{flat}",
            "move it before `flatten`; data without channels cannot use it" if flat else "",
        )
    rank = len(shape) - 1
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        axes = "[channels, height, width]" if rank == 2 else "[channels, length]"
        raise Misfit(
            f"`{name}` has {len(value)} numbers in `{field}` for an input of {list(shape)}: {axes}",
            f"write one number, or {rank} in a list",
        )
    return tuple(value)


def by(sizes: Sequence[int]) -> str:
    """3x5."""
    return "x".join(map(str, sizes))
