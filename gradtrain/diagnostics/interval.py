"""When a run is looked at closely: often at the beginning, then as seldom as the budget asks."""

from __future__ import annotations

import math
import statistics
from typing import Any


class Interval:
    """Close looks at steps 1, 2, 3, 4, 6, 8, 12, …, two an octave; from `every` on at its multiples.

    A look costs about as much as the step it looks at. Where that is more than the budget's share of the time, the
    interval doubles; only clocks decide that, never the numbers of the run. `memory` is what a checkpoint keeps.
    """

    def __init__(self, every: int | None, budget: float, memory: dict[str, Any]) -> None:
        self.every, self.budget, self.memory = every, budget, memory
        memory.setdefault("times", 1)
        self.costs: list[float] = []
        self.plain: list[float] = []

    def after(self, step: int) -> int:
        """The next step to look at, from the number of steps finished."""
        early = _twice_an_octave(step + 1)
        if self.every is None:
            return early
        period: int = self.every * self.memory["times"]
        regular = (step // period + 1) * period
        return min(early, regular) if early < self.every else regular

    def spent(self, look: float, step: float) -> None:
        """Seconds of a step that was looked at, and of one that was not."""
        self.costs.append(max(0.0, look - step))
        self.plain.append(step)
        if self.every is None or len(self.costs) < 4:
            return
        needed = statistics.median(self.costs[-9:]) / max(1e-9, self.budget * statistics.median(self.plain[-9:]))
        if needed > self.every * self.memory["times"]:
            self.memory["times"] = 2 ** math.ceil(math.log2(needed / self.every))


def _twice_an_octave(least: int) -> int:
    """The smallest of 1, 2, 3, 4, 6, 8, 12, … that is at least `least`."""
    power = 1 << (least - 1).bit_length()
    return 3 * power // 4 if power >= 4 and 3 * power // 4 >= least else power
