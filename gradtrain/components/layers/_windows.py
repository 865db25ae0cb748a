"""Windows over the last axes of a tensor, in plain tensor algebra: what convolution and pooling are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Annotated, TypeAlias

from pydantic import Field, PositiveInt

from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Misfit

Axes: TypeAlias = Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=2)]
"""One number for every axis."""


def per_axis(value: int | Sequence[int] | str, rank: int, name: str) -> tuple[int, ...]:
    """One number an axis. Raises `Misfit` when a list has another length."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise Misfit(f"`{name}` has {len(value)} numbers for an input with {rank} axes beside the channels")
    return tuple(int(v) for v in value)


def window_count(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many windows fit; `padding` is that of both sides together."""
    return (size + padding - dilation * (kernel - 1) - 1) // stride + 1


def padded(x: Tensor, padding: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """The input with `value` around its last axes."""
    shape = [
        *x.shape[:2],
        *(n + before + after for n, (before, after) in zip(x.shape[2:], padding, strict=True)),
    ]
    inner = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape[2:], padding, strict=True))
    result = torch.full(shape, value, dtype=x.dtype, device=x.device)
    result[(..., *inner)] = x
    return result


def windows(x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """[batch, channel, *position, *kernel]: each window's elements."""
    counts = [window_count(n, k, s, 0, d) for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    result = x.new_empty(*x.shape[:2], *counts, *kernel)
    for offset in product(*(range(k) for k in kernel)):
        result[(..., *offset)] = x[(..., *_places(offset, counts, stride, dilation))]
    return result


def placed(
    columns: Tensor,
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
) -> Tensor:
    """The adjoint of `windows` and padding: [batch, channel, *kernel, *position] added up where each element came from."""
    counts = list(columns.shape[2 + len(kernel) :])
    whole = columns.new_zeros(
        *columns.shape[:2], *(n + before + after for n, (before, after) in zip(sizes, padding, strict=True))
    )
    for offset in product(*(range(k) for k in kernel)):
        whole[(..., *_places(offset, counts, stride, dilation))] += columns[(slice(None), slice(None), *offset)]
    return whole[(..., *(slice(before, before + n) for n, (before, _) in zip(sizes, padding, strict=True)))]


def _places(
    offset: Sequence[int], counts: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[slice, ...]:
    return tuple(
        slice(o * d, o * d + s * (c - 1) + 1, s) for o, d, s, c in zip(offset, dilation, stride, counts, strict=True)
    )
