"""Uniform numbers."""

from __future__ import annotations

import math
from typing import Any

from gradtrain.components.initializers import Initializer, Spread
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class Uniform(Initializer):
    """Independent numbers, all values between two bounds equally likely.

    value     uniform in low..high
    paper     PyTorch documentation, torch.nn.init.uniform_
    """

    cases = [{}, {"high": 2.0, "low": 1.0}]

    high: float = 0.1
    """Upper bound, in units of the weight."""
    low: float = -0.1
    """Lower bound, in units of the weight; below `high`."""

    def model_post_init(self, context: Any, /) -> None:
        if self.low >= self.high:
            raise ValueError(f"`low` ({self.low}) must be below `high` ({self.high})")

    def fill(self, tensor: Tensor) -> None:
        nn.init.uniform_(tensor, self.low, self.high)

    def textbook(self, shape: Shape) -> Spread:
        return Spread((self.low + self.high) / 2, (self.high - self.low) / math.sqrt(12), self.low, self.high)
