"""Stairs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveInt

from gradtrain.components.schedules import Schedule


class Step(Schedule):
    """The learning rate is multiplied by gamma every so often.

    value     lr gamma^⌊t / every⌋
    """

    cases = [{"every": 3}, {"every": 2, "gamma": 0.5}]

    every: PositiveInt
    """Steps or epochs (`by:`) between two reductions."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor of one reduction."""

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        return lr * self.gamma ** (t // self.every)
