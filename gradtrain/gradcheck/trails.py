"""Two ways of the same weights, side by side. Imports torch."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from torch import Tensor

from gradtrain.gradcheck.course import Course, Trail
from gradtrain.gradcheck.finding import Agreement, agreement

SINGLE = 2e-6
"""A part of the way that rounding to float32 inside explains; 16 of its roundings."""

NOTHING = 1e-11
"""A part of the way that float64 alone explains."""

GROWN = 1e-4
"""A part of the way that a rounding to float32 may have grown to in a dozen steps."""

Pairs: TypeAlias = list[list[tuple[Tensor, Tensor]]]
"""Step by step, weight by weight."""


def beside(got: Trail, expected: Trail) -> Pairs:
    """The weights of two ways, in pairs."""
    return [list(zip(*rows, strict=True)) for rows in zip(got.points, expected.points, strict=True)]


def agrees(got: Trail, expected: Trail, digits: int) -> bool:
    """Whether two ways are one."""
    return not any(agreement(a, b, digits=digits).disagree for row in beside(got, expected) for a, b in row)


def least(pairs: Pairs, digits: int) -> Agreement | None:
    """The comparison of the weight that agrees least."""
    found = [agreement(a, b, digits=digits) for row in pairs for a, b in row]
    return min(found, key=lambda one: one.digits, default=None)


def part_of_way(pairs: Pairs, course: Course) -> float:
    """The largest difference of a weight as a part of the way that it has come."""
    parts = [0.0]
    for row in pairs:
        for (mine, other), start in zip(row, course.start, strict=True):
            way, off = float((other - start).abs().max()), float((mine - other).abs().max())
            parts.append(off / way if way else math.inf if off else 0.0)
    return max(parts)


def rounded(pairs: Pairs, course: Course, limit: float = SINGLE) -> bool:
    """Whether the difference begins no larger than rounding inside makes it.

    It may grow after that: where g + λ p nearly vanishes, a rule that divides by the size of the gradient magnifies it.
    """
    parts = [part_of_way([row], course) for row in pairs]
    return next((part for part in parts if part > NOTHING), 0.0) < limit and max(parts) < limit + GROWN


def evidence_of(found: Agreement) -> dict[str, Any]:
    """The numbers of a finding."""
    names = ("digits", "element", "got", "expected", "disagree", "elements")
    return {name: getattr(found, name) for name in names}
