"""Tensors as pictures."""

from __future__ import annotations

import math

from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem


def pictures(x: Tensor, span: tuple[float, float] | None = None) -> Tensor:
    """[count, channel, height, width] in 0..1: flat squares become images, `span` becomes 0..1. Raises `Problem`."""
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        if side * side != x.shape[1]:
            raise Problem("no-samples", f"{x.shape[1]} numbers are no picture", help="leave out `sampling:`")
        x = x.reshape(len(x), 1, side, side)
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        what = f"samples of the shape {list(x.shape[1:])} are no pictures"
        raise Problem("no-samples", what, why="pictures have 1 or 3 channels", help="leave out `sampling:`")
    low, high = (0.0, 1.0) if span is None else span
    return ((x - low) / (high - low)).clamp(0, 1)


def beside(x: Tensor, again: Tensor) -> Tensor:
    """Pictures and what became of them: row by row, eight of the first, then eight of the second below."""
    x, again = pictures(x), pictures(again)
    rows = [part for i in range(0, len(x), 8) for part in (x[i : i + 8], again[i : i + 8])]
    return torch.cat(rows)
