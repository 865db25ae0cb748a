"""The learning rate of a run: a schedule bound to its unit of time and the run's length."""

from __future__ import annotations

from typing import Any

from gradtrain.components.schedules import Schedule


class LearningRate:
    """`at(step)` is a pure function of the step, and of what the schedule observed if it watches a metric.

    `start` is the step at which it begins to count; `factor` multiplies every rate of a run that went back.
    """

    factor = 1.0

    def __init__(
        self, schedule: Schedule | None, by: str, lr: float, steps: int, per_epoch: int, start: int = 0
    ) -> None:
        self.schedule, self.lr, self.start = schedule, lr, start
        self.unit = per_epoch if by == "epoch" else 1
        self.total = -(-steps // self.unit)
        self.memory: dict[str, Any] = schedule.start() if schedule is not None else {}

    def at(self, step: int) -> float:
        """The learning rate of the update that follows `step` finished ones."""
        if self.schedule is None:
            return self.lr * self.factor
        return self.factor * self.schedule.at((step - self.start) // self.unit, self.total, self.lr, self.memory)

    def observe(self, value: float) -> None:
        """Tell a schedule that watches a metric what an evaluation measured."""
        if self.schedule is not None:
            self.memory = self.schedule.observe(value, self.memory)

    def restore(self, memory: dict[str, Any]) -> None:
        """Take back a memory. Raises ValueError for what no schedule of this kind remembers."""
        fresh = self.schedule.start() if self.schedule is not None else {}
        if memory.keys() != fresh.keys() or not all(
            isinstance(value, float | int) or (value is None and fresh[name] is None) for name, value in memory.items()
        ):
            raise ValueError(f"the schedule remembers {', '.join(fresh) or 'nothing'}, not {memory}")
        self.memory = dict(memory)
