"""The family of schedules."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from gradtrain.registry import Component, Use


class Schedule(Component):
    """A schedule gives the learning rate over time.

    Time t is counted from 0 in steps or epochs (`by:`); `total` is the run's length in the same unit. A
    schedule that watches a metric keeps what it saw in a small dictionary of plain numbers that the
    checkpoint stores.
    """

    watches: ClassVar[bool] = False
    """True when the schedule needs `observe` after every evaluation (plateau)."""

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        """The learning rate of the update number `t` (or the epoch `t`), given the optimizer's own `lr`."""
        raise NotImplementedError

    def start(self) -> dict[str, Any]:
        """What the schedule remembers before the first evaluation: JSON-able numbers."""
        return {}

    def observe(self, value: float, memory: dict[str, Any]) -> dict[str, Any]:
        """What the schedule remembers after an evaluation measured `value`."""
        return memory


class Scheduled(Use):
    """The section `schedule:`."""

    part: Schedule
    by: Literal["step", "epoch"] | None = None
    """The unit of time: required for every schedule but `constant`."""
