"""The family of objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.lazy import Tensor, nn
from gradtrain.registry import Component

Networks = Mapping[str, "nn.Module"]
"""Role → network."""

Batch = Mapping[str, "Tensor"]
"""Field → tensor `[batch, ...]`."""


class Terms(NamedTuple):
    """What one forward pass costs."""

    total: Tensor
    """The weighted sum that is differentiated, 0-d."""
    losses: Mapping[str, Tensor]
    """Each loss by its name, unweighted, 0-d."""


class Task:
    """An objective at work: it may keep state between steps (a carried hidden state, reused fakes)."""

    def count(self, batch: Batch) -> Tensor | float:
        """The weight of a micro-batch in its batch: its number of real targets."""
        raise NotImplementedError

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        """The forward pass of one update: differentiable terms."""
        raise NotImplementedError

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        """(terms, prediction, target) of a batch in one forward pass, for evaluation."""
        raise NotImplementedError

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        """What the model says about inputs without targets."""
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""


class Objective(Component):
    """An objective is the wiring of a run: which networks there are, what a batch goes through, what is minimised."""

    roles: ClassVar[tuple[str, ...]] = ("model",)
    """The networks it needs; `models:` has exactly these keys."""

    updates: ClassVar[tuple[str, ...]] = ("model",)
    """One optimizer step each, in this order, on every batch; each names the role whose weights it changes."""

    fields: ClassVar[tuple[str, ...]] = ("x", "y")
    """Batch fields it reads."""

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        """The task for this run's losses and data."""
        raise NotImplementedError


__all__ = ["Batch", "Networks", "Objective", "Task", "Terms"]
