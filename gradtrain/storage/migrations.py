"""Checkpoints of older formats, brought up to today's: one pure function for each step from a format to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

Contents = tuple[dict[str, Tensor], dict[str, Any]]
"""(tensors, facts) of a checkpoint."""

STEPS: list[Callable[[dict[str, Tensor], dict[str, Any]], Contents]] = []
"""The first one makes format 2 of format 1, and so on; a released one is never changed again."""


def newest_format() -> int:
    """The format that is written, and the newest one that is read."""
    return len(STEPS) + 1


def migrated(written: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Contents:
    """The contents of a checkpoint that was written in the format `written`, as those of the newest."""
    for step in STEPS[written - 1 :]:
        tensors, facts = step(tensors, facts)
    return tensors, facts
