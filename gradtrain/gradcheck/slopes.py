"""Derivatives along a line by differences that bound their own error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

Line = Callable[[float], Sequence[float]]
"""t → some numbers at the point t further along a direction, each less its value at t = 0."""

SHARP = 1e-11
"""Relative error at which a derivative is known well enough."""

LEVELS = 8
STARTS = (1.0, 1 / 24, 1 / 500, 1 / 10_000, 1e-6)
"""First steps to try, as parts of the natural one: a kink or a fine structure needs smaller ones."""


@dataclass(frozen=True)
class Slope:
    """A derivative, how far off it can be, and the largest step that it used."""

    value: float
    error: float
    step: float
    reach: float = 0.0
    """The largest change of the function that was seen: what it is made of may be far larger than its value."""


def central(line: Line, noise: Sequence[float], step: float, levels: int = LEVELS) -> list[Slope]:
    """Ridders' method for every number of the line at once: central differences, extrapolated to step 0.

    `noise` is the rounding error of each number. Steps halve from `step`; each column of the tableau removes
    one even power of the step. The error is the larger one of the tableau's own differences and of the
    rounding at the step used.

    Source: Ridders (1982), Advances in Engineering Software 4(2):75-76, doi:10.1016/S0141-1195(82)80057-0
    """
    seen = [0.0] * len(noise)

    def quotient(h: float) -> list[float]:
        ups, downs = line(h), line(-h)
        for k, both in enumerate(zip(ups, downs, strict=True)):
            seen[k] = max(seen[k], *(abs(change) for change in both if math.isfinite(change)), 0.0)
        return [(up - down) / (2 * h) for up, down in zip(ups, downs, strict=True)]

    found = _extrapolated(quotient, noise, step, levels, 4.0)
    return [replace(slope, reach=far) for slope, far in zip(found, seen, strict=True)]


def one_sided(line: Line, noise: Sequence[float], step: float, levels: int = LEVELS) -> list[Slope]:
    """The same for the right-hand derivative, whose error has every power of the step."""
    return _extrapolated(lambda h: [up / h for up in line(h)], noise, step, levels, 2.0)


def _extrapolated(
    quotient: Callable[[float], Sequence[float]], noise: Sequence[float], step: float, levels: int, factor: float
) -> list[Slope]:
    best = [Slope(math.nan, math.inf, step) for _ in noise]
    rows: list[list[float]] = []
    h = step
    rising = 0
    for level in range(levels):
        quotients = quotient(h)
        improved = False
        fresh: list[list[float]] = []
        for k, first in enumerate(quotients):
            row = [first]
            for j in range(1, level + 1):
                power = factor**j
                row.append((power * row[j - 1] - rows[k][j - 1]) / (power - 1))
                error = max(abs(row[j] - row[j - 1]), abs(row[j] - rows[k][j - 1]), 4 * noise[k] / h)
                if error < best[k].error:
                    best[k], improved = Slope(row[j], error, step), True
            fresh.append(row)
        rows = fresh
        if all(slope.error <= SHARP * abs(slope.value) for slope in best):
            break
        rising = 0 if improved or level < 2 else rising + 1
        if rising == 2:
            break
        h /= 2
    return best
