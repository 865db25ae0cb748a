"""A run's checkpoints: everything it needs to go on bit by bit, and how it goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from gradtrain.assemble import Parts
from gradtrain.components.metrics import Value
from gradtrain.config.sections import Run
from gradtrain.memory import Memory, kept
from gradtrain.problems import Place, Problem
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.storage.room import look
from gradtrain.training import state
from gradtrain.training.phase import Phase
from gradtrain.training.update import Update

Results = dict[str, dict[str, Value]]
"""Split → metric → value."""


class Restored(NamedTuple):
    """Where a run goes on."""

    step: int
    phase: Phase
    """The one that the step belongs to."""
    memory: Memory
    measured: Results


def save(folder: RunFolder, run: Run, parts: Parts, phase: Phase, step: int, memory: Memory, measured: Results) -> Path:
    """Commit a checkpoint of a run between two steps. Raises `Problem`: numerical, resources."""
    tensors, numbers = state.capture(
        parts.networks, phase.distinct, phase.rate, parts.precision, parts.task, parts.pipeline
    )
    facts = {
        "numbers": numbers,
        "memory": vars(memory),
        "measured": measured,
        "kind": parts.kind,
        "labels": list(parts.labels),
        "features": list(parts.features),
        "facts": asdict(parts.source),
    }
    return checkpoint.save(
        folder.checkpoints,
        step,
        tensors,
        facts,
        keep=run.checkpoint.keep,
        protect=memory.protected(),
        finite=state.FINITE,
    )


def room(folder: RunFolder, run: Run, parts: Parts, phase: Phase) -> list[Problem]:
    """A warning when the disk is tight for this run's checkpoints. Raises `Problem` when it does not even take one."""
    tensors, _ = state.capture(parts.networks, phase.distinct, phase.rate, parts.precision, parts.task, parts.pipeline)
    size = sum(tensor.nbytes for tensor in tensors.values())
    size += sum(remembered(update) for update in phase.distinct if not update.optimizer.state)
    kept = run.checkpoint.keep + 1  # the best one, or the one that is written before an old one goes
    return look(folder.checkpoints, size, max(1, kept - len(checkpoint.steps(folder.checkpoints))))


def remembered(update: Update) -> int:
    """Bytes that an optimizer will remember, as its published rule begins; 0 for one that searches (L-BFGS).

    Counted tensor by tensor, and let go at once: torch's own first step would tell the same, as tensors without numbers
    ("meta") would, and both import half a second of other things on their way.
    """
    if update.rule.closure:
        return 0
    begun = (update.rule.init(p.detach()) for p in update.parameters)
    return sum(value.nbytes for state in begun for value in state.values() if isinstance(value, Tensor))


def restore(
    folder: RunFolder, run: Run, parts: Parts, warn: Callable[[Problem], None], step: int | None = None
) -> Restored:
    """Take everything back from a step's checkpoint, or the newest that is whole. Raises `Problem` (checkpoint)."""
    root = folder.checkpoints
    found = checkpoint.newest(root, warn=warn) if step is None else checkpoint.load(root, step)
    told = kept(found)
    phase = next(phase for phase in parts.phases if found.step <= phase.end)
    take(found, told.numbers, parts, phase, told.labels)
    memory = told.memory if "good" in found.facts["memory"] else replace(told.memory, good=found.step)
    checkpoint.retire(folder.checkpoints, found.step, keep=run.checkpoint.keep, protect=memory.protected())
    return Restored(found.step, phase, memory, told.measured)


def take(
    found: checkpoint.Loaded, numbers: dict[str, Any], parts: Parts, phase: Phase, labels: Sequence[str] | None = None
) -> None:
    """Begin a phase with the tensors and numbers of a checkpoint. Raises `Problem` where they are not those of the run.

    `labels` are the checkpoint's names of the classes, where it has them.
    """
    lines = state.mismatches(found.tensors, parts.networks)
    if labels is not None and tuple(labels) != parts.labels:
        lines.append(f"{len(labels)} classes in the checkpoint that are not those of the data")
    if lines:
        raise Problem(
            "checkpoint-model",
            "the checkpoint does not fit the model",
            Place(str(found.path)),
            "; ".join(lines[:10]),
            "put back the config that the run was made with",
        )
    phase.begin()
    try:
        state.restore(
            found.tensors, numbers, parts.networks, phase.distinct, phase.rate, parts.precision, parts.task
        )  # fmt: skip
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        why = f"it does not hold what this run needs ({type(error).__name__}: {error})"
        raise Problem(
            "checkpoint-model",
            "the checkpoint was made by another run",
            Place(str(found.path)),
            why,
            "put back the config that the run was made with",
        ) from None
