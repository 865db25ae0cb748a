"""Results that are more than one number: values by class, and who was taken for whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gradtrain.report.page.recorded import Recorded

WIDEST = 40
"""Classes up to which a confusion matrix is shown whole."""
WORST = 10
"""Confusions that are listed."""


@dataclass(frozen=True)
class ByClass:
    """A metric with one value for every class."""

    title: str
    rows: tuple[tuple[str, float | None], ...]


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: rows are the true classes, columns the answers."""

    title: str
    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    """Label → (samples, share of the row) for every answer; empty where it is too wide to be read."""
    worst: tuple[tuple[str, str, float, float], ...]
    """(true class, answer, samples, share of the true class), the most frequent first."""


def by_class(run: Recorded) -> list[ByClass | Matrix]:
    """Every result of the last evaluations that is a list or a square."""
    return [
        made
        for split, values in run.history.results.items()
        for metric, value in values.items()
        if isinstance(value, list) and (made := _made(f"{split} {metric}".replace("_", " "), value, run.labels))
    ]


def _made(title: str, value: list[Any], known: Sequence[str]) -> ByClass | Matrix | None:
    labels = tuple(known) if len(known) == len(value) else tuple(map(str, range(len(value))))
    if value and all(isinstance(item, (int, float, str)) for item in value):
        numbers = (float(item) if isinstance(item, (int, float)) else None for item in value)
        return ByClass(title, tuple(zip(labels, numbers, strict=True)))
    if not value or not all(_numbers(row) and len(row) == len(value) for row in value):
        return None
    shares = [[n / (sum(row) or 1.0) for n in row] for row in value]
    whole = [tuple(zip(row, share, strict=True)) for row, share in zip(value, shares, strict=True)]
    shown = zip(labels, whole, strict=True) if len(value) <= WIDEST else ()
    worst = sorted(_confusions(value, shares, labels), key=lambda one: -one[2])
    return Matrix(title, labels, tuple(shown), tuple(worst[:WORST]))


def _confusions(
    value: Sequence[Sequence[float]], shares: Sequence[Sequence[float]], labels: Sequence[str]
) -> Iterator[tuple[str, str, float, float]]:
    for i, row in enumerate(value):
        for j, count in enumerate(row):
            if i != j and count > 0:
                yield labels[i], labels[j], count, shares[i][j]


def _numbers(row: Any) -> bool:
    return isinstance(row, list) and all(type(n) in (int, float) and n >= 0 for n in row)
