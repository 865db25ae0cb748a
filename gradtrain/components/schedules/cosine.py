"""Half a cosine, after a warm-up."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveInt

from gradtrain.components.schedules import Schedule


class Cosine(Schedule):
    """The learning rate rises in a straight line, then falls along half a cosine, and stays at its lowest.

    With T = over, or the length of the run:

    value     t < warmup: lr (t + 1) / (warmup + 1);
              else min_lr + (lr - min_lr) (1 + cos(π min((t - warmup) / (T - warmup), 1))) / 2
    paper     Loshchilov & Hutter (2017), ICLR, arXiv:1608.03983 (without restarts)
    """

    cases = [{}, {"min_lr": 1e-5, "warmup": 4}, {"over": 6, "warmup": 2}]

    min_lr: Annotated[float, Field(ge=0)] = 0.0
    """The lowest learning rate."""
    warmup: NonNegativeInt = 0
    """Steps or epochs (`by:`) of the rise."""
    over: PositiveInt | None = None
    """Steps or epochs until the lowest value, the warm-up included; by default the whole run."""

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        if t < self.warmup:
            return lr * (t + 1) / (self.warmup + 1)
        share = min((t - self.warmup) / max(1, (self.over or total) - self.warmup), 1.0)
        return self.min_lr + (lr - self.min_lr) * (1 + math.cos(math.pi * share)) / 2
