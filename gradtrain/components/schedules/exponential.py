"""Exponential decay."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gradtrain.components.schedules import Schedule


class Exponential(Schedule):
    """The learning rate is multiplied by gamma at every step or epoch.

    value     lr gamma^t
    """

    cases = [{"gamma": 0.9}]

    gamma: Annotated[float, Field(gt=0, le=1)]
    """Factor of one step or epoch (`by:`)."""

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        return lr * self.gamma**t
