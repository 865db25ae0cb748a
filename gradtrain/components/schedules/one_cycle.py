"""One cycle: up, and far down."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.schedules import Schedule


class OneCycle(Schedule):
    """The learning rate rises to a high value along a cosine, then falls to almost nothing along another.

    With T the length of the run, h = warmup T - 1, low = max_lr / start_div and
    c(a, b, s) = b + (a - b) (1 + cos π s) / 2:

    value     t ≤ h: c(low, max_lr, t / h);  else c(max_lr, low / end_div, (t - h) / (T - 1 - h))
    paper     Smith & Topin (2019), Proc. SPIE 11006, arXiv:1708.07120
    note      As PyTorch's OneCycleLR with cosine annealing. It sets the learning rate itself: the
              optimizer's lr is not used.
    """

    cases = [{"max_lr": 0.1}, {"max_lr": 0.1, "warmup": 0.5, "start_div": 10.0, "end_div": 100.0}]

    max_lr: PositiveFloat
    """The highest learning rate."""
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the run that rises."""
    start_div: Annotated[float, Field(ge=1)] = 25.0
    """The first learning rate is the highest over this."""
    end_div: Annotated[float, Field(ge=1)] = 1e4
    """The last learning rate is the first over this."""

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        low, top = self.max_lr / self.start_div, self.warmup * total - 1
        if t <= top:
            return _cosine(low, self.max_lr, t / top if top > 0 else 1.0)
        share = (t - top) / (total - 1 - top)
        return _cosine(self.max_lr, low / self.end_div, min(share, 1.0))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
