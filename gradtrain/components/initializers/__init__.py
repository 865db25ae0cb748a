"""The family of initializers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradtrain.lazy import Tensor
from gradtrain.problems import Problem
from gradtrain.registry import Component
from gradtrain.stage import Shape


@dataclass(frozen=True)
class Spread:
    """What a freshly filled tensor must look like: mean and standard deviation over its elements, and its bounds."""

    mean: float
    std: float
    low: float = float("-inf")
    high: float = float("inf")


class Initializer(Component):
    """An initializer fills a parameter tensor in place, from torch's generator."""

    def fill(self, tensor: Tensor) -> None:
        """Fill `tensor` in place; called under no_grad."""
        raise NotImplementedError

    def textbook(self, shape: Shape) -> Spread | None:
        """The published distribution for a weight of this shape; None when the tensor is left as PyTorch made it."""
        raise NotImplementedError


def needs_fans(initializer: Initializer, tensor: Tensor) -> None:
    """Raises `Problem` for a bias or a gain: a vector has no inputs that it sums over."""
    if tensor.ndim < 2:
        raise Problem(
            "shape-mismatch",
            f"`{initializer.name()}` cannot fill a parameter of shape {list(tensor.shape)}",
            why="its size follows from the two or more axes of a weight, [out, in, ...]",
            help="write `params: weights` beside it, and `constant` or `default` for the others",
        )


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight `[out, in, *kernel]`: how many inputs an output sums over, and the reverse."""
    field = 1
    for size in shape[2:]:
        field *= size
    return shape[1] * field, shape[0] * field


def gain(nonlinearity: str, slope: float) -> float:
    """The factor that makes up for what an activation takes from the variance (PyTorch: `calculate_gain`)."""
    return {"relu": math.sqrt(2), "leaky_relu": math.sqrt(2 / (1 + slope**2)), "tanh": 5 / 3, "linear": 1.0}[
        nonlinearity
    ]
