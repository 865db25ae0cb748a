"""What gated activations share: which axis holds the features, and its halves."""

from __future__ import annotations

from gradtrain.lazy import Tensor
from gradtrain.stage import Misfit, Shape


def axis(x: Tensor) -> int:
    """The last axis of [batch, features] and [batch, time, features], the channels of images."""
    return 1 if x.ndim == 4 else -1


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second half of the features."""
    size = x.shape[axis(x)] // 2
    return x.narrow(axis(x), 0, size), x.narrow(axis(x), size, size)


def halved(name: str, shape: Shape) -> Shape:
    """The shape with half as many features. Raises `Misfit` for an odd number."""
    place = 0 if len(shape) == 3 else len(shape) - 1
    if shape[place] % 2:
        raise Misfit(f"`{name}` cuts {shape[place]} features into halves", "make their number even")
    return (*shape[:place], shape[place] // 2, *shape[place + 1 :])
