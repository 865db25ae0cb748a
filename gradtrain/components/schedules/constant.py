"""No change."""

from __future__ import annotations

from typing import Any

from gradtrain.components.schedules import Schedule


class Constant(Schedule):
    """The learning rate never changes.

    value     lr
    """

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        return lr
