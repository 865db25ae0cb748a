"""The rig: small runs, children that live one life of a run, and what is left of a run to compare.

The parent has imported torch and runs on one thread; a child is forked for every life of a run.
"""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gradtrain.problems import Problem
from gradtrain.start import go_on, start
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.training.stop import Interrupted, Stop

CONFIGS = {
    "dropout-noise-plateau": """
name: dropout
device: cpu
data:
  source: {moons: {count: 240, noise: 0.25}}
  split: {val: 0.25, test: 0.25, stratify: true}
  transforms: [standardize]
  augment: [{noise: 0.1}]
  batch_size: 12
model: {layers: [{linear: 24}, relu, {dropout: 0.3}, {linear: 24}, tanh, {dropout: 0.2}, {linear: 2}]}
loss: cross_entropy
optimizer: {adam: {lr: 0.02}}
schedule: {plateau: {factor: 0.5, patience: 1}, by: epoch}
training: {epochs: 8, clip_norm: 0.5}
evaluation: {metrics: [accuracy]}
checkpoint: {every: 7 steps, best: val.loss}
logging: {every: 1 step}
""",
    "conv-crop-flip-batch-norm": """
name: conv
device: cpu
data:
  source: digits
  split: {train: 256, val: 60, test: 60}
  transforms: [to_float]
  augment: [{random_crop: {size: 8, padding: 1}}, random_flip]
  batch_size: 16
normalization: batch_norm
model: {layers: [{conv: {out: 4, kernel: 3, bias: false}}, norm, relu, {max_pool: 2}, flatten, {linear: 10}]}
loss: cross_entropy
optimizer: {momentum: 0.05}
schedule: {one_cycle: {max_lr: 0.1}, by: step}
training: {epochs: 9, accumulate: 2}
checkpoint: {every: 3 steps, best: val.loss}
logging: {every: 1 step}
""",
    "average-of-the-weights": """
name: average
device: cpu
data:
  source: {spirals: {}}
  split: {val: 0.2, test: 0.2}
  batch_size: 20
model:
  layers: [{linear: 16}, tanh, {dropout: 0.1}, {linear: {out: 16, bias: false}}, batch_norm, relu, {linear: 2}]
loss: cross_entropy
regularization: [{l2: 1e-3, form: decoupled}]
optimizer: {adam: {lr: 0.01}}
schedule: {cosine: {min_lr: 1e-4}, by: epoch}
training: {epochs: 12, ema: 0.95, clip_value: 0.1}
evaluation: {every: 5 steps, metrics: [accuracy], use_ema: true}
checkpoint: {every: 6 steps, best: val.accuracy}
logging: {every: 2 steps}
""",
    "early-stopping": """
name: stopping
device: cpu
data:
  source: {moons: {count: 120, noise: 0.35}}
  split: {val: 0.3, test: 0.2}
  augment: [{noise: 0.2}]
  batch_size: 6
model: {layers: [{linear: 32}, relu, {dropout: 0.4}, {linear: 2}]}
loss: cross_entropy
optimizer: {sgd: {lr: 0.1, momentum: 0.8, nesterov: true}}
schedule: {exponential: 0.99, by: epoch}
training: {epochs: 500}
evaluation: {every: 4 steps}
checkpoint: {every: 5 steps, keep: 2}
early_stopping: {patience: 25, watch: val.loss}
logging: {every: 1 step}
""",
}


class Silent:
    """A display that shows nothing and remembers what it was warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def begin(self, plan: Any) -> None: ...

    def wants(self, number: int) -> bool:
        return False

    detailed = False

    def step(self, number: int, loss: float, rate: float, norm: float | None, norms: Mapping[str, float]) -> None: ...

    def evaluated(self, number: int, split: str, values: Mapping[str, Any]) -> None: ...

    def saved(self, number: int, path: str, best: bool) -> None: ...

    def warn(self, problem: Problem) -> None:
        self.warnings.append(problem.code)

    def found(self, line: Mapping[str, Any]) -> None: ...

    def health(self, lines: Any, share: float) -> None: ...

    def end(self, state: str, reason: str, results: Any, seconds: float, number: int) -> None: ...


class Kind(NamedTuple):
    config: Path
    reference: Path
    """Folder of the run that nobody disturbed."""
    seconds: float


MEMORY = Path("/dev/shm")
NAMES = ["dropout-noise-plateau", "conv-crop-flip-batch-norm", "average-of-the-weights", "early-stopping"]


def reference(name: str, place: Path) -> Kind:
    """A kind of run, trained without a break; in this process, so that children find everything imported."""
    (place / "config.yaml").write_text(CONFIGS[name])
    start(place / "config.yaml", folder=place / "warm", shown=Silent())
    began = time.monotonic()
    assert start(place / "config.yaml", folder=place / "reference", shown=Silent()).state == "finished"
    return Kind(place / "config.yaml", place / "reference", time.monotonic() - began)


def nothing() -> None:
    """What a child does before its life, unless a test says more."""


def living(
    config: Path,
    folder: Path,
    display: Any = None,
    prepare: Callable[[], Any] = nothing,
    *,
    ready: bool = False,
    fresh: bool = False,
) -> int:
    """One life of a run in a child: its process id. The child exits with the status that the command would have.

    It goes on with a run that is there, unless it is to be `fresh`. With `ready` it listens to signals before this
    returns.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            prepare()
            with Stop().listening() as stop:
                os.write(write, b".")
                shown = display or Silent()
                if not fresh and (folder / "config.yaml").exists():
                    outcome = go_on(folder, shown=shown, stop=stop)
                else:
                    outcome = start(config, folder=folder, shown=shown, stop=stop)
            os._exit(outcome.exit_code)
        except (Problem, Interrupted) as problem:
            os._exit(problem.exit_code)
        except BaseException:
            traceback.print_exc()
            os._exit(99)
    os.close(write)
    if ready:
        os.read(read, 1)
    os.close(read)
    return pid


def ended(pid: int) -> int:
    """Exit status of a child; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def journal_of(folder: Path) -> list[dict[str, Any]]:
    """The journal of a run's folder without its clock."""
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def assert_same_end(folder: Path, reference: Path, *, same_steps: bool = True) -> None:
    """All tensors, all numbers, all journal lines, the status: equal, with nothing left over.

    Without `same_steps` the newest and the best checkpoint only: signals have asked for others.
    """
    skipped: list[Problem] = []
    found, wanted = (checkpoint.newest(path / "checkpoints", skipped.append) for path in (folder, reference))
    assert not skipped
    assert found.step == wanted.step
    assert found.tensors.keys() == wanted.tensors.keys()
    assert [name for name, tensor in wanted.tensors.items() if not torch.equal(found.tensors[name], tensor)] == []
    for facts in (found.facts, wanted.facts):
        facts["memory"].pop("seconds")
        facts["memory"].pop("journal")  # the clock's digits differ in number
    assert found.facts == wanted.facts
    best = wanted.facts["memory"]["best_step"]
    assert best is not None
    if same_steps:
        assert checkpoint.steps(folder / "checkpoints") == checkpoint.steps(reference / "checkpoints")
    first, second = (checkpoint.load(path / "checkpoints", best).tensors for path in (folder, reference))
    assert all(torch.equal(first[name], tensor) for name, tensor in second.items())
    assert journal_of(folder) == journal_of(reference)
    for key in ("state", "step", "exit_code", "resumable"):
        assert RunFolder(folder).status()[key] == RunFolder(reference).status()[key]
    assert sorted(path.name for path in folder.rglob(".*")) == [".lock"]


class Telling(Silent):
    """A display that calls a function for everything that it is told of: (what, step, split)."""

    def __init__(self, tell: Callable[[str, int, str], Any]) -> None:
        super().__init__()
        self.tell = tell

    def wants(self, number: int) -> bool:
        self.tell("step", number, "")
        return False

    def evaluated(self, number: int, split: str, values: Mapping[str, Any]) -> None:
        self.tell("evaluated", number, split)

    def saved(self, number: int, path: str, best: bool) -> None:
        self.tell("saved", number, "")


def dying(deadly: Callable[[str, int, str], bool], after: int = 1) -> Telling:
    """A display that kills its process when an evaluation or a save that is deadly happens for the n-th time."""
    left = after

    def tell(what: str, number: int, split: str) -> None:
        nonlocal left
        left -= what != "step" and deadly(what, number, split)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return Telling(tell)


def wait_for_lines(folder: Path, count: int) -> None:
    """Until a child's journal has that many lines."""
    limit = time.monotonic() + 30
    while not (folder / "journal.jsonl").exists() or (folder / "journal.jsonl").read_bytes().count(b"\n") < count:
        assert time.monotonic() < limit
        time.sleep(0.002)
