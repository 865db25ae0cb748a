"""What a run remembers beside its tensors: which step was best, and for how long nothing was better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradtrain.components.metrics import Value
from gradtrain.config.sections import Run

Measured = Mapping[str, Mapping[str, Value]]
"""Split → metric → value."""


@dataclass
class Memory:
    """What a run remembers beside its tensors; all of it stands in a checkpoint's trainer.json."""

    best: float | None = None
    best_step: int | None = None
    least: float | None = None
    """Best value that early stopping saw."""
    since: int = 0
    """Evaluations since then."""
    seconds: float = 0.0
    """Time spent before this process."""
    journal: int = 0
    """Length of the journal, in bytes."""
    health: dict[str, Any] = field(default_factory=dict)
    """What the diagnostics remember."""
    good: int = 0
    """Step of the last checkpoint that was due: a run that is interrupted goes back as far as one that is not."""
    skipped: int = 0
    """Steps left out because their numbers were not finite."""
    in_a_row: int = 0
    """How many of them lie one after the other, up to `skipped_at`."""
    skipped_at: int = 0
    """The last one of them."""
    rollbacks: int = 0
    """Returns to a checkpoint because numbers were not finite."""
    norms: list[float] = field(default_factory=list)
    """The last norms of the gradient."""

    def judged(
        self, run: Run, best: str | None, modes: Mapping[str, str], measured: Measured, step: int
    ) -> tuple[bool, bool]:
        """(whether the best value improved, whether patience ran out) after an evaluation at `step`.

        `best` names what decides, `modes` says for every metric which way is better.
        """
        improved = out = False
        if best is not None:
            value = number_at(measured, best)
            if _better(value, self.best, run.checkpoint.mode or modes.get(best.partition(".")[2], "min")):
                self.best, self.best_step, improved = value, step, True
        if (stopping := run.early_stopping) is not None:
            value = number_at(measured, stopping.watch)
            better = _better(value, self.least, stopping.mode or modes.get(stopping.watch.partition(".")[2], "min"))
            self.least, self.since = (value, 0) if better else (self.least, self.since + 1)
            out = self.patience_is_out(run)
        return improved, out

    def protected(self) -> set[int]:
        """Steps whose checkpoints are never retired."""
        return {self.good} | ({self.best_step} if self.best_step is not None else set())

    def patience_is_out(self, run: Run) -> bool:
        """Whether early stopping has waited as long as it was told to."""
        return run.early_stopping is not None and self.since >= run.early_stopping.patience


def number_at(measured: Measured, name: str) -> float:
    """The value of `val.loss`; nan where it was not measured or is no number."""
    split, _, metric = name.partition(".")
    value = measured.get(split, {}).get(metric, math.nan)
    return value if isinstance(value, float) else math.nan


def _better(value: float, best: float | None, mode: str) -> bool:
    if not math.isfinite(value):
        return False
    return best is None or (value < best if mode == "min" else value > best)
