"""Numbers that are none: what a run does about them, what it remembers of every step, and what it says.

A step whose loss or gradient is not finite is never made on the CPU, nor anywhere under `skip`. On another device to
read a number is to wait for it, so the device remembers the first gradient that was not finite, and is asked when a
line is logged and before a checkpoint is made: until then steps are made, with weights that are lost.

`stop` ends the run; `skip` leaves the step out as if it had not been tried; `rollback` takes back the state of the last
checkpoint. Time goes on in both: the step keeps its number, its data and its place in the schedule, so that the order
of the data stays a pure function of the step.
"""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradtrain.assemble import Parts
from gradtrain.config.policies import Rollback, Skip
from gradtrain.config.sections import Run
from gradtrain.memory import Memory
from gradtrain.nonfinite.crash import SAMPLES, batch_of, keep, traced
from gradtrain.problems import Place, Problem
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.storage.journal import Journal
from gradtrain.training.batches import Batch
from gradtrain.training.phase import Phase
from gradtrain.training.update import NonFinite

REMEMBERED = 20
"""Norms of the gradient that a run remembers."""
OVERFLOWS = 50
"""Steps in a row that float16 may leave out: the scale of the loss is down to nothing long before."""
SPIKE = 100.0
"""A norm this many times the median of those before it is worth a warning."""


class Guard:
    """The moment before every step, and the verdict on a step that was not made."""

    def __init__(self, run: Run, parts: Parts, folder: RunFolder) -> None:
        self.policy, self.parts, self.folder = run.training.patience, parts, folder
        self.buffers = [buffer for network in parts.networks.values() for buffer in network.buffers()]
        self.before = [buffer.clone() for buffer in self.buffers]
        updates = [update for phase in parts.phases for update in phase.distinct]
        self.reads = updates[0].guarded
        """Whether the norm of every step is looked at; elsewhere reading it would wait for the device."""
        for update in updates:
            update.guarded = self.reads or isinstance(self.policy, Skip)
        self.looked = 0
        """The step at which the device was asked last."""
        self.lost: NonFinite | None = None
        """Weights that could not be saved, from the moment when that shows to the next step."""
        begins = parts.phases[1:] if self.returns else ()
        self.fresh = {id(update): _copied(update.state()) for phase in begins for update in phase.distinct}
        self.mark()

    def mark(self, start: int | None = None) -> None:
        """Remember what a step changes beside weights and optimizer: random numbers, buffers, what a task carries.

        `start` is the step at which steps begin, or go on. Raises `NonFinite` when the weights are lost already.
        """
        self.looked = self.looked if start is None else start
        if self.lost is not None:
            error, self.lost = self.lost, None
            raise error
        self.random = torch.get_rng_state()
        if self.buffers:
            torch._foreach_copy_(self.before, self.buffers)
        self.task = self.parts.task.state()

    def undo(self) -> None:
        """Put back what `mark` remembered, as if the step had not been tried."""
        torch.set_rng_state(self.random)
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.before)
        self.parts.task.restore(self.task)

    def look(self, phase: Phase, step: int, memory: Memory, journal: Journal) -> None:
        """Ask the device what it remembers of the steps up to `step`, and journal how many of them float16 left out.

        Raises `Problem` for a gradient that was not finite, unless the run goes back to before it.
        """
        count, row = self.parts.precision.left_out()
        if count:
            memory.overflows += count
            scale = self.parts.precision.state()["scale"]
            journal.write({"kind": "overflow", "step": step, "left_out": memory.overflows, "scale": scale})
            if row >= OVERFLOWS:
                raise self.overflow(phase, step, row)
        if not self.reads:
            lost = [
                self.looked + sound // phase.updates.count(update) + 1
                for update in phase.distinct
                if (sound := update.lost()) is not None
            ]
            if lost and not self.returns:
                raise self.late(phase, min(lost), step, memory)
            if lost:
                self.lost = NonFinite(f"the norm of the gradient of step {min(lost)}", math.nan)
            self.looked = step

    @property
    def returns(self) -> bool:
        """Whether the run goes back to checkpoints."""
        return isinstance(self.policy, Rollback)

    def anew(self, phase: Phase) -> None:
        """Give a phase the optimizers that it began with."""
        for update in phase.distinct:
            update.restore(*_copied(self.fresh[id(update)]))

    def judged(self, error: NonFinite, phase: Phase, done: int, memory: Memory) -> dict[str, Any]:
        """Count a step that was not made; the journal's line about it. Raises `Problem` where patience ends."""
        policy, step, bound = self.policy, done + 1, None
        if isinstance(policy, Skip):
            memory.in_a_row = memory.in_a_row + 1 if memory.skipped_at == done else 1
            memory.skipped, memory.skipped_at = memory.skipped + 1, step
            if memory.in_a_row > policy.in_a_row:
                bound = f"{policy.in_a_row} steps in a row were left out before it, and no more may be"
            elif memory.skipped > max(policy.in_a_row, policy.share * step):
                bound = f"{memory.skipped - 1} steps were left out before it, and no more may be"
            verdict = {"policy": "skip", "skipped": memory.skipped}
        elif isinstance(policy, Rollback):
            memory.rollbacks += 1
            if memory.rollbacks > policy.times:
                bound = f"the run went back {policy.times} times before it, and may not any more"
            verdict = {"policy": "rollback", "rollbacks": memory.rollbacks, "to": memory.good}
        else:
            raise self.refusal(error, phase, done, memory)
        if bound:
            raise self.refusal(error, phase, done, memory, bound)
        return {"kind": "nonfinite", "step": step, "what": error.what, "value": error.value, **verdict}

    def refusal(self, error: NonFinite, phase: Phase, done: int, memory: Memory, bound: str = "") -> Problem:
        """The refusal of a step, which is kept and tried once more to see where its numbers come from."""
        self.undo()
        batch = self.keep(error, phase, done, memory)
        what = f"{error.what} is {error.value} at step {done + 1}, in epoch {self.epoch(done)}: the update was not made"
        return self.problem(what, (bound, str(traced(self.parts, phase, done, batch))), phase, done, memory)

    def late(self, phase: Phase, step: int, now: int, memory: Memory) -> Problem:
        """The refusal of a step that was made: its batch is kept, and a checkpoint leads to it."""
        self.keep(NonFinite("the norm of the gradient", math.nan), phase, step - 1, memory, whole=False)
        what = f"the norm of the gradient is not finite at step {step}, in epoch {self.epoch(step - 1)}"
        why = f"the update was made, and the weights are lost: the device was asked at step {now}"
        return self.problem(what, (why,), phase, step - 1, memory)

    def overflow(self, phase: Phase, step: int, row: int) -> Problem:
        """The refusal of a run that has stopped to learn."""
        return Problem(
            "nonfinite",
            f"the last {row} steps were left out: their gradients overflow in float16, at step {step}",
            Place(str(self.folder.path)),
            f"learning rate {phase.rate.at(step - 1):.4g}; the scale of the loss is down to "
            f"{self.parts.precision.state()['scale']:.3g}, and they still do",
            "write `precision: bfloat16` or `precision: float32`, or lower the learning rate",
        )

    def epoch(self, done: int) -> int:
        """The epoch of the step that follows `done` finished ones, from 1."""
        return done // self.parts.per_epoch + 1

    def keep(self, error: NonFinite, phase: Phase, done: int, memory: Memory, *, whole: bool = True) -> Batch:
        """Keep a step in the run's folder; its batch."""
        facts = {
            "step": done + 1,
            "epoch": self.epoch(done),
            "what": error.what,
            "value": str(error.value),
            "loss": str(error.loss),
            "lr": phase.rate.at(done),
            "norms": memory.norms,
            "samples": self.samples(done)[:SAMPLES],
        }
        batch = batch_of(self.parts, done)
        keep(self.folder.crash, self.parts, phase, done, batch, facts, whole=whole)
        return batch

    def samples(self, done: int) -> list[int]:
        """The samples of the step that follows `done` finished ones."""
        found: list[int] = self.parts.splits["train"].indices(done).tolist()
        return found

    def problem(self, what: str, why: Sequence[str], phase: Phase, done: int, memory: Memory) -> Problem:
        """A refusal with what is needed to understand it."""
        run, samples, norms = str(self.folder.path), self.samples(done), memory.norms[-5:]
        good = max(checkpoint.steps(self.folder.checkpoints), default=None)
        said = (
            *why,
            f"learning rate {phase.rate.at(done):.4g}",
            f"samples of the batch {', '.join(map(str, samples[:8]))}{', …' if len(samples) > 8 else ''}",
            f"norms of the gradient before it {', '.join(f'{n:.3g}' for n in norms)}" if norms else "",
            "no checkpoint was made before it" if good is None else f"the last good checkpoint is of step {good}",
        )
        return Problem(
            "nonfinite",
            what,
            Place(run),
            "; ".join(part for part in said if part),
            f"lower the learning rate, clip the gradient (`training.clip_norm: 1.0`), or look for bad samples; "
            f"`gradtrain replay {shlex.quote(run)}` tries the step again",
        )

    def warning(self, error: NonFinite, line: Mapping[str, Any]) -> Problem:
        """What is said of a step that was not made while the run goes on."""
        done = (
            f"the step is left out; steps left out so far: {line['skipped']}"
            if line["policy"] == "skip"
            else f"the run goes on from the checkpoint of step {line['to']}; returns so far: {line['rollbacks']}"
        )
        return Problem(
            "nonfinite",
            f"{error.what} is {error.value} at step {line['step']}",
            Place(str(self.folder.path)),
            done,
            severity="warning",
        )

    def spiked(self, step: int, norm: float, median: float) -> Problem:
        """What is said of a gradient that is suddenly large."""
        return Problem(
            "gradient-spike",
            f"the norm of the gradient is {norm:.3g} at step {step}, {norm / median:.0f} times its median",
            Place(str(self.folder.path)),
            f"the {REMEMBERED} norms before it had the median {median:.3g}",
            "clip the gradient (`training.clip_norm`), or lower the learning rate",
            severity="warning",
        )


def slowed(run: Run, phases: Sequence[Phase], memory: Memory) -> None:
    """Lower the learning rates by what the returns so far have cost."""
    if isinstance(run.training.patience, Rollback):
        for phase in phases:
            phase.rate.factor = run.training.patience.rate**memory.rollbacks


def _copied(kept: tuple[dict[str, Tensor], dict[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return {name: tensor.clone() for name, tensor in kept[0].items()}, dict(kept[1])


def spike(norm: float, norms: list[float]) -> float | None:
    """Remember a norm of the gradient; the median of those before it, where it begins to lie far above."""
    median = None
    if len(norms) == REMEMBERED and norm > SPIKE * min(norms):  # else it cannot be far above the median either
        median = statistics.median(norms)
        median = median if norms[-1] <= SPIKE * median < norm else None
    norms.append(norm)
    del norms[:-REMEMBERED]
    return median
