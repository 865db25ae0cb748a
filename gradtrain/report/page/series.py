"""Values over steps in bounded memory: neighbours share a point, which keeps their mean, least and greatest value."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 4096
"""Values that wait before they are put into buckets: numpy pays off for many at once."""
NAMED = 5
"""Steps of values that are not finite which are kept by number."""

BUCKET, COUNT, STEPS, SUM, LEAST, GREATEST = range(6)
Table = NDArray[np.float64]
"""[bucket, 6]: number of the bucket, how many values, sum of their steps, their sum, the least, the greatest."""


class Series:
    """Values as they come in, at most `limit` points of them.

    A bucket spans `width` steps, a power of two that grows with the run; while every bucket holds one value, the
    values are exact. What is not finite is counted and left out of the means.
    """

    def __init__(self, limit: int = 1000) -> None:
        self.limit, self.width = limit, 1
        self.lost: list[tuple[int, str]] = []
        self.lost_count = 0
        self._table: Table = np.empty((0, 6))
        self._steps, self._values = array("d"), array("d")

    def add(self, step: int, value: Any) -> None:
        """One value; texts "nan", "inf", "-inf" are numbers that are not finite, other things are left out."""
        if value.__class__ is not float:
            value = _number(value)
            if value is None:
                return
        if value - value != 0:
            if len(self.lost) < NAMED:
                self.lost.append((step, str(value)))
            self.lost_count += 1
            return
        self._steps.append(step)
        self._values.append(value)
        if len(self._steps) >= CHUNK:
            self._fold()

    def __len__(self) -> int:
        return len(self._table) + len(self._steps)

    @property
    def table(self) -> Table:
        """The buckets by step."""
        self._fold()
        return self._table

    def coarse(self, width: int) -> Table:
        """The buckets joined to a greater width, a power of two."""
        table = self.table.copy()
        table[:, BUCKET] = table[:, BUCKET] // (width // self.width)
        return _joined(table)

    def _fold(self) -> None:
        if not self._steps:
            return
        steps, values = np.array(self._steps), np.array(self._values)
        self._steps, self._values = array("d"), array("d")
        new = np.stack([steps // self.width, np.ones_like(steps), steps, values, values, values], axis=1)
        self._table = _joined(np.concatenate([self._table, new]))
        while len(self._table) > self.limit:
            self.width *= 2
            self._table[:, BUCKET] //= 2
            self._table = _joined(self._table)


def common_width(many: list[Series]) -> int:
    """The width at which all of them can stand side by side."""
    for one in many:
        one._fold()
    return max((one.width for one in many), default=1)


def _joined(table: Table) -> Table:
    """Rows of the same bucket as one."""
    table = table[np.argsort(table[:, BUCKET], kind="stable")]
    starts = np.flatnonzero(np.diff(table[:, BUCKET], prepend=-1.0))
    if len(starts) == len(table):
        return table
    sums = np.add.reduceat(table[:, COUNT : SUM + 1], starts, axis=0)
    least = np.minimum.reduceat(table[:, LEAST], starts)
    greatest = np.maximum.reduceat(table[:, GREATEST], starts)
    return np.column_stack([table[starts, BUCKET], sums, least, greatest])


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError:
            return None
    return float(value) if value in ("nan", "inf", "-inf") else None


def rounded(value: float) -> float | None:
    """A number as the page keeps it: six digits; None for what JSON does not have."""
    return float(f"{value:.6g}") if value - value == 0 else None
