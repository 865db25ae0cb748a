"""The step that ended a run, kept in the folder `crash/` as a checkpoint with its batch, and tried once more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from gradtrain.assemble import Parts
from gradtrain.nonfinite.origin import Made, Origin, wrong
from gradtrain.problems import Place, Problem, quote
from gradtrain.storage import checkpoint
from gradtrain.storage.files import irregular, make_folder
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


@dataclass
class Told:
    """What stands beside the tensors of a step that was kept, once it was found to be sound: it may be anybody's."""

    step: int
    what: str
    """What was not finite."""
    value: str
    whole: bool
    """Whether the state of the run before the step was kept as well."""
    numbers: dict[str, Any]
    """Its plain numbers; optimizer, schedule and precision judge their own."""


_TOLD: TypeAdapter[Told] = TypeAdapter(Told)


@dataclass(frozen=True)
class Crash:
    """A step that was kept."""

    found: checkpoint.Loaded
    told: Told

    @property
    def done(self) -> int:
        """Steps that were finished before it."""
        return self.found.step

    def batch(self, like: Batch) -> Batch | None:
        """The batch that it was made of; None where it was too large to be kept.

        Raises `Problem` (checkpoint) where its fields are not those of a batch of the run.
        """
        fields = {name.removeprefix(BATCH): v for name, v in self.found.tensors.items() if name.startswith(BATCH)}
        if not fields:
            return None
        lines = [
            f"{name} of the batch: {_kind(fields, name)} was kept, {_kind(like, name)} here"
            for name in sorted(fields.keys() | like.keys())
            if _kind(fields, name) != _kind(like, name)
        ]
        if lines or len({len(value) for value in fields.values()}) > len({len(value) for value in like.values()}):
            raise self.foreign("; ".join(lines) or "the fields of its batch have different lengths")
        return Batch({name: value.to(like[name].device) for name, value in fields.items()})

    def foreign(self, why: str) -> Problem:
        """The refusal of a step that is not one of the run."""
        return Problem(
            "checkpoint-model", "the step that was kept is not one of this run", Place(str(self.found.path)), why,
            "put back the config and the data that the run was made with",
        )  # fmt: skip


def _kind(fields: Mapping[str, Tensor], name: str) -> str:
    """Type and shape of a field, without the number of samples; `nothing` for none."""
    if name not in fields or not fields[name].ndim:
        return "nothing"
    return f"{str(fields[name].dtype).removeprefix('torch.')} {list(fields[name].shape[1:])}"


def kept(root: Path) -> Crash | None:
    """The step that was kept last; None where there is none. Raises `Problem` (checkpoint) for a damaged one."""
    if root.is_symlink():
        raise irregular(root, "folder")
    if not checkpoint.steps(root):
        return None
    help = "remove the folder `crash`; `gradtrain resume` trains to the step again"
    try:
        found = checkpoint.newest(root)
    except Problem as problem:
        problem.help = help
        raise
    try:
        told = _TOLD.validate_json(json.dumps(found.facts), strict=True)
        if told.step != found.step + 1:
            raise ValueError(f"it is of step {told.step}, its manifest says {found.step + 1}")
    except ValueError as error:  # pydantic's is one
        first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
        why = str(error) if first is None else f"{quote('.'.join(map(str, first['loc'])))}: {first['msg'].lower()}"
        what = "the step that was kept does not hold what a step does"
        raise Problem("checkpoint-damaged", what, Place(str(found.path)), f"trainer.json: {why}", help) from None
    return Crash(found, told)


def keep(
    root: Path, parts: Parts, phase: Phase, done: int, batch: Batch, facts: Mapping[str, Any], *, whole: bool = True
) -> None:
    """Commit the moment before a step and its batch; what the disk does not take is left out.

    An update that was made before the one that failed, or a search that was broken off, cannot be undone: of those the
    batch alone is kept, as it is without `whole`.
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    if whole and len(phase.updates) == 1 and not isinstance(phase.updates[0], Searching):
        tensors, numbers = state.capture(
            parts.networks, phase.distinct, phase.rate, parts.precision, parts.task, parts.pipeline
        )
    if sum(tensor.nbytes for tensor in tensors.values()) > LARGEST:
        tensors, numbers = {}, {}
    fields = {f"{BATCH}{name}": tensor for name, tensor in batch.items()}
    if sum(tensor.nbytes for tensor in fields.values()) > LARGEST:
        fields = {}
    try:
        make_folder(root)
        checkpoint.save(
            root, done, {**tensors, **fields}, {**facts, "numbers": numbers, "whole": bool(tensors)}, keep=2
        )
    except (OSError, Problem):  # the refusal itself must be heard
        return
