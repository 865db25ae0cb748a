"""What a run remembers beside its tensors: which step was best, and for how long nothing was better."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import TargetKind
from gradtrain.components.metrics import Value
from gradtrain.config.sections import Run
from gradtrain.problems import Place, Problem, quote
from gradtrain.storage.checkpoint import Loaded

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
    pending: bool = False
    """What follows a step (drawing, measuring) was broken off at this one, and comes first when the run goes on."""
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
    overflows: int = 0
    """Steps that float16 left out because the gradient of the scaled loss overflowed."""
    rollbacks: int = 0
    """Returns to a checkpoint because numbers were not finite."""
    norms: list[float] = field(default_factory=list)
    """The last norms of the gradient."""

    def judged(self, run: Run, best: str | None, modes: Mapping[str, str], measured: Measured, step: int) -> bool:
        """Whether the best value improved by an evaluation at `step`.

        `best` names what decides, `modes` says for every metric which way is better.
        """
        improved = False
        if best is not None:
            value = number_at(measured, best)
            if _better(value, self.best, run.checkpoint.mode or modes.get(best.partition(".")[2], "min")):
                self.best, self.best_step, improved = value, step, True
        if (stopping := run.early_stopping) is not None:
            value = number_at(measured, stopping.watch)
            better = _better(value, self.least, stopping.mode or modes.get(stopping.watch.partition(".")[2], "min"))
            self.least, self.since = (value, 0) if better else (self.least, self.since + 1)
        return improved

    def protected(self) -> set[int]:
        """Steps whose checkpoints are never retired."""
        return {self.good} | ({self.best_step} if self.best_step is not None else set())

    def patience_is_out(self, run: Run) -> bool:
        """Whether early stopping has waited as long as it was told to."""
        return run.early_stopping is not None and self.since >= run.early_stopping.patience


_Split = Annotated[str, Field(pattern="^(train|val|test)$")]
_Metric = Annotated[str, Field(pattern=r"^[\w.@/+ -]{1,100}$")]


@dataclass
class Kept:
    """A checkpoint's trainer.json, once it was found to be sound: it may come from anywhere."""

    numbers: dict[str, Any]
    """What optimizers, schedule and precision remember; each of them judges its own."""
    memory: Memory
    measured: dict[_Split, dict[_Metric, Value]]
    """Split → metric → value."""
    kind: TargetKind
    labels: tuple[str, ...]
    features: tuple[str, ...]
    facts: Facts


_KEPT: TypeAdapter[Kept] = TypeAdapter(Kept)
_FACTS: TypeAdapter[Facts] = TypeAdapter(Facts)


def facts_from(plain: Mapping[str, Any]) -> Facts:
    """Facts as a checkpoint keeps them. Raises ValueError for what are none."""
    return _FACTS.validate_json(json.dumps(plain), strict=True)


def kept(found: Loaded) -> Kept:
    """What stands in a checkpoint beside its tensors. Raises `Problem` (checkpoint) for anything else."""
    try:
        told = _KEPT.validate_json(json.dumps(found.facts), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _unsound(found, f"{quote(where)} of its trainer.json: {first['msg'].lower()}") from None
    facts, memory = told.facts, told.memory
    sizes = [
        *(facts.shape or ()),
        *(n for n in (facts.count, facts.classes, facts.outputs, facts.vocab) if n is not None),
    ]
    if not all(0 < size < 2**40 for size in sizes):
        raise _unsound(found, f"its trainer.json names sizes that no data has: {quote(sizes)}")
    if not 0 <= memory.journal < 2**62 or memory.since < 0 or not 0 <= (memory.best_step or 0) <= found.step:
        raise _unsound(found, "its trainer.json remembers what no run can have seen")
    return told


def _unsound(found: Loaded, why: str) -> Problem:
    what = f"the checkpoint {quote(found.path.name)} does not hold what a run keeps"
    return Problem("checkpoint-damaged", what, Place(str(found.path)), why, "use another checkpoint, or train again")


def number_at(measured: Measured, name: str) -> float:
    """The value of `val.loss`; nan where it was not measured or is no number."""
    split, _, metric = name.partition(".")
    value = measured.get(split, {}).get(metric, math.nan)
    return value if isinstance(value, float) else math.nan


def _better(value: float, best: float | None, mode: str) -> bool:
    if not math.isfinite(value):
        return False
    return best is None or (value < best if mode == "min" else value > best)
