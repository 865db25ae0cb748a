"""A phase: a stretch of the run with optimizers of its own."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradtrain.training.penalties import Penalties
from gradtrain.training.schedule import LearningRate
from gradtrain.training.update import Update

MOMENTS = 64
"""Steps at which the schedule of a phase is asked for its highest rate."""


@dataclass
class Phase:
    """From the step `start` to the step `end` these updates train; most runs have one phase."""

    updates: Sequence[Update]
    """In the order of a step; one may come several times (the critic of a GAN)."""
    rate: LearningRate
    penalties: Penalties
    start: int
    end: int
    learning: Sequence[Tensor]
    """Parameters that change."""
    resting: Sequence[Tensor]
    """Parameters that do not, in this phase or ever."""

    @functools.cached_property
    def peak(self) -> float:
        """The highest learning rate of the phase, as its schedule says before it has observed anything."""
        length = max(1, self.end - self.start)
        return max(self.rate.at(self.start + length * i // MOMENTS) for i in range(MOMENTS))

    @property
    def distinct(self) -> list[Update]:
        """Every update once."""
        return list({update.name: update for update in self.updates}.values())

    def begin(self, before: Phase | None = None) -> None:
        """Freeze and unfreeze; moving averages go on from the phase before, or begin at the weights."""
        for parameter in self.learning:
            parameter.requires_grad_(True)
        for parameter in self.resting:
            parameter.requires_grad_(False)
        known = {} if before is None else averages(before.distinct)
        for update in () if before is None else before.distinct:
            if update.rule.averages:
                update.swap()  # its average is what it found; the point where it took gradients is no one's goal
        for update in self.distinct:
            for parameter, average in zip(update.parameters, update.average, strict=False):
                with torch.no_grad():
                    average.copy_(known.get(id(parameter), parameter))


def averages(updates: Sequence[Update]) -> dict[int, Tensor]:
    """id of a parameter → its moving average."""
    return {id(p): average for update in updates for p, average in zip(update.parameters, update.average, strict=False)}
