"""A straight line."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveInt

from gradtrain.components.schedules import Schedule


class Linear(Schedule):
    """The learning rate goes from its start to a share of it along a straight line, and stays there.

    With T = over, or the length of the run:

    value     lr (1 - (1 - end) min(t / T, 1))
    """

    cases = [{}, {"end": 0.1, "over": 5}]

    end: Annotated[float, Field(ge=0)] = 0.0
    """Share of the learning rate that is left at the end."""
    over: PositiveInt | None = None
    """Steps or epochs (`by:`) of the line; by default the whole run."""

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        return lr * (1 - (1 - self.end) * min(t / (self.over or total), 1.0))
