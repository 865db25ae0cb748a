"""Uniform numbers."""

from __future__ import annotations

import math
from typing import Any

from gradtrain.components.initializers import Initializer, Spread
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class Uniform(Initializer):
    """Independent numbers, all values between two bounds equally likely.

    value     uniform in low..high,  in -high..high without `low`
    paper     PyTorch documentation, torch.nn.init.uniform_
    """

    cases = [{}, {"high": 0.5}, {"high": 2.0, "low": 1.0}]

    high: float = 0.1
    """Upper bound, in units of the weight."""
    low: float | None = None
    """Lower bound, in units of the weight; by default `-high`."""

    def model_post_init(self, context: Any, /) -> None:
        low, high = self._bounds()
        if low >= high:
            raise ValueError(f"`low` ({low:g}) must be below `high` ({high:g})")

    def _bounds(self) -> tuple[float, float]:
        return -self.high if self.low is None else self.low, self.high

    def fill(self, tensor: Tensor) -> None:
        nn.init.uniform_(tensor, *self._bounds())

    def textbook(self, shape: Shape) -> Spread:
        low, high = self._bounds()
        return Spread((low + high) / 2, (high - low) / math.sqrt(12), low, high)
