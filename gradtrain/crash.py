"""The step that ended a run, kept in the folder `crash/` as a checkpoint with its batch, and tried once more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from gradtrain.assemble import Parts
from gradtrain.origin import Made, Origin, wrong
from gradtrain.problems import Problem
from gradtrain.storage import checkpoint
from gradtrain.training import state
from gradtrain.training.batches import Batch, Batches
from gradtrain.training.loop import train
from gradtrain.training.phase import Phase
from gradtrain.training.update import NonFinite, Searching

BATCH = "batch."
"""Names of the kept batch's fields begin with this."""
LARGEST = 1 << 30
"""Bytes beyond which the state of a run is not kept: its last checkpoint leads to the step as well."""
SAMPLES = 4096
"""Samples whose numbers are kept."""


@dataclass(frozen=True)
class Traced:
    """What a step did when every operation of it was looked at."""

    error: NonFinite | None
    """Why the step was not made; None when it was."""
    given: str
    """What was not finite before the step began, in words."""
    made: Sequence[Made]
    """The operation that began it, and the one that made NaN of an infinity where that is another one."""

    def __str__(self) -> str:
        return self.given or ", then ".join(map(str, self.made))


def traced(parts: Parts, phase: Phase, done: int, batch: Batch) -> Traced:
    """Try the step that follows `done` finished ones with a batch; weights change when nothing is wrong with it."""
    given = _given(parts, batch)
    batches = cast(Batches, _One(batch))
    error = None
    with Origin(parts.networks) as origin:
        try:
            for _ in train(**{**parts.arguments(phase), "batches": batches}, start=done, steps=done + 1):
                pass
        except NonFinite as raised:
            error = raised
    if error is None:
        return Traced(None, given, ())
    of_gradient = error.what.startswith("the norm")
    gradients = [p.grad for update in phase.distinct for p in update.parameters] if of_gradient else []
    return Traced(error, given, origin.found(gradients))


class _One:
    """Batches of which there is one."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def starting_at(self, step: int) -> Iterator[Batch]:
        yield self.batch


def _given(parts: Parts, batch: Batch) -> str:
    for name, tensor in state.named(parts.networks):
        if gave := wrong(tensor):
            return f"`{name}` held {gave} before the step"
    for field, tensor in batch.items():
        if gave := wrong(tensor):
            rows = tensor.isfinite().flatten(1).all(1) if tensor.ndim > 1 else tensor.isfinite()
            return f"`{field}` of sample {int((~rows).nonzero()[0])} of the batch holds {gave}"
    return ""


def batch_of(parts: Parts, done: int) -> Batch:
    """The batch of the step that follows `done` finished ones."""
    return next(iter(parts.splits["train"].starting_at(done)))


@dataclass(frozen=True)
class Crash:
    """A step that was kept."""

    done: int
    """Steps that were finished before it."""
    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def whole(self) -> bool:
        """Whether the state of the run before the step was kept as well."""
        return bool(self.facts.get("whole"))

    @property
    def batch(self) -> Batch | None:
        """The batch that it was made of; None where it was too large to be kept."""
        fields = {name.removeprefix(BATCH): value for name, value in self.tensors.items() if name.startswith(BATCH)}
        return Batch(fields) if fields else None


def kept(root: Path) -> Crash | None:
    """The step that was kept last; None where there is none. Raises `Problem` (checkpoint) for a damaged one."""
    if not checkpoint.steps(root):
        return None
    found = checkpoint.newest(root)
    return Crash(found.step, found.facts, found.tensors)


def keep(root: Path, parts: Parts, phase: Phase, done: int, batch: Batch, facts: Mapping[str, Any]) -> None:
    """Commit the moment before a step and its batch; what the disk does not take is left out.

    An update that was made before the one that failed, or a search that was broken off, cannot be undone: of those the
    batch alone is kept.
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    if len(phase.updates) == 1 and not isinstance(phase.updates[0], Searching):
        tensors, numbers = state.capture(
            parts.networks, phase.distinct, phase.rate, parts.precision, parts.task, parts.pipeline
        )
    if sum(tensor.nbytes for tensor in tensors.values()) > LARGEST:
        tensors, numbers = {}, {}
    fields = {f"{BATCH}{name}": tensor for name, tensor in batch.items()}
    if sum(tensor.nbytes for tensor in fields.values()) > LARGEST:
        fields = {}
    try:
        root.mkdir(exist_ok=True)
        checkpoint.save(
            root, done, {**tensors, **fields}, {**facts, "numbers": numbers, "whole": bool(tensors)}, keep=2
        )
    except (OSError, Problem):  # the refusal itself must be heard
        return
