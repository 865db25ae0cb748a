"""A step that ended a run, once more and bit for bit: same weights, same batch, same random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradtrain import saving
from gradtrain.assemble import Parts
from gradtrain.config.load import read
from gradtrain.config.sections import Run
from gradtrain.memory import kept as remembered
from gradtrain.nonfinite import crash, slowed
from gradtrain.nonfinite.crash import Crash, Traced, batch_of, traced
from gradtrain.problems import Place, Problem, one_line
from gradtrain.provenance import begun_in, classes_of
from gradtrain.start import prepare
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.training.loop import train
from gradtrain.training.phase import Phase
from gradtrain.training.update import NonFinite


@dataclass(frozen=True)
class Replayed:
    """What became of the step the second time."""

    step: int
    was: str
    """What was wrong the first time."""
    found: Traced
    start: int
    """Finished steps of the state that it began from."""
    same_data: bool
    """Whether the data still holds the batch that was kept."""

    @property
    def exit_code(self) -> int:
        """4 where the step is not finite again, 0 where it is sound this time."""
        return 0 if self.found.error is None else 4

    @property
    def doubts(self) -> str:
        """Why the step may be sound this time; empty where it is not."""
        if self.found.error is not None:
            return ""
        data = "" if self.same_data else "the data has changed since, though the batch is the one that was kept; "
        return (
            f"{data}another machine, version of torch or number of threads rounds differently, the config may have "
            "been changed, or the memory of the machine failed once"
        )

    def lines(self) -> list[str]:
        """The same for people."""
        begun = f"step {self.step}: {self.was}; tried again from the state after step {self.start}"
        error = self.found.error
        if error is None:
            return [begun, "sound this time", f"possible reasons: {self.doubts}"]
        return [
            begun,
            f"{error.what} is {error.value} again",
            *([self.found.given] if self.found.given else []),
            *map(str, self.found.made),
        ]

    def as_json(self) -> dict[str, Any]:
        error = self.found.error
        return {
            "step": self.step,
            "was": self.was,
            "reproduced": error is not None,
            "what": None if error is None else error.what,
            "value": None if error is None else str(error.value),
            "given": self.found.given or None,
            "operations": [made.as_json() for made in self.found.made],
            "start": self.start,
            "same_data": self.same_data,
            "doubts": self.doubts or None,
        }


def replayed(path: Path) -> Replayed:
    """Try the step that ended a run once more; nothing is written. Raises `Problem`s."""
    folder = RunFolder.open(path)
    kept = crash.kept(folder.crash)
    if kept is None:
        raise Problem(
            "nothing-to-replay",
            "no step of this run was kept",
            Place(str(path)),
            "a step is kept when its loss or its gradient is not finite and the run stops",
            "`gradtrain resume` goes on with a run that was interrupted",
        )
    run, parts, _ = prepare(read(folder.path / "config.yaml"), begun_in(folder), classes_of(folder))
    phase, start = restored(run, parts, folder, kept)
    fresh = batch_of(parts, kept.done)
    batch = kept.batch(fresh)
    if same := batch is None or all(torch.equal(batch[name], tensor) for name, tensor in fresh.items()):
        found = traced(parts, phase, kept.done, fresh)
    else:
        batch.first = kept.done % parts.per_epoch == 0
        try:
            found = traced(parts, phase, kept.done, batch)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:  # targets that no class has, for instance
            raise kept.foreign(f"its batch is none that the model takes ({type(error).__name__}: {error})") from None
    was = f"{one_line(kept.told.what, 100)} was {one_line(kept.told.value, 20)}"
    return Replayed(kept.done + 1, was, found, start, same)


def restored(run: Run, parts: Parts, folder: RunFolder, kept: Crash) -> tuple[Phase, int]:
    """The moment before the step: as it was kept, or as the last checkpoint leads to it. Raises `Problem`."""
    for update in (update for phase in parts.phases for update in phase.distinct):
        update.guarded = True  # on every device: a replay has time to wait
    if kept.done >= parts.steps:
        raise kept.foreign(f"it is step {kept.done + 1:,}, and the run ends at step {parts.steps:,}")
    if kept.told.whole:
        phase = next(phase for phase in parts.phases if kept.done < phase.end)
        saving.take(kept.found, kept.told.numbers, parts, phase)
        return phase, kept.done
    before = [step for step in checkpoint.steps(folder.checkpoints) if step <= kept.done]
    start = max(before, default=0)
    phase = next(phase for phase in parts.phases if start <= phase.end)
    if before:
        found = checkpoint.load(folder.checkpoints, start)
        told = remembered(found)
        saving.take(found, told.numbers, parts, phase, told.labels)
        slowed(run, parts.phases, told.memory)
    else:
        phase.begin()
    return _led(parts, phase, start, kept.done), start


def _led(parts: Parts, phase: Phase, start: int, done: int) -> Phase:
    """Train on to the moment before the step; the phase that it belongs to. Raises `Problem` on the way."""
    while start < done or start == phase.end:
        if start == phase.end:
            after = next(other for other in parts.phases if start < other.end)
            after.begin(phase)
            phase = after
        end = min(done, phase.end)
        try:
            for _ in train(**parts.arguments(phase), start=start, steps=end):
                pass
        except NonFinite as error:
            raise Problem(
                "nonfinite",
                f"on the way to step {done + 1}, {error.what} is {error.value}",
                why="the run left out a step, or went back, between its last checkpoint and the one that ended it",
                help="look at the lines `nonfinite` of its journal",
            ) from None
        start = end
    return phase
