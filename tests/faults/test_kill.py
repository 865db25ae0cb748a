"""Runs that are killed, stopped and moved while they train end bit for bit as if nothing had happened.

The parent has imported torch and runs on one thread; a child is forked for every life of a run.
"""

from __future__ import annotations

import errno
import functools
import math
import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from gradtrain.problems import Problem
from gradtrain.start import go_on, start
from gradtrain.storage import checkpoint, files
from gradtrain.storage.folder import RunFolder

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.xdist_group("kill"),
]

KILLS = 25
"""How many kills must hit a running process, for each kind of run."""


@pytest.fixture(autouse=True, scope="module")
def undisturbed() -> Iterator[None]:
    """Runs seed torch's global generator; whoever comes next finds it as it was."""
    with torch.random.fork_rng(devices=[]):
        yield


class Kind(NamedTuple):
    config: Path
    reference: Path
    """Folder of the run that nobody disturbed."""
    seconds: float


@pytest.fixture(scope="module")
def kinds(
    tmp_path_factory: pytest.TempPathFactory, configs: Mapping[str, str], silent: Callable[[], Any]
) -> dict[str, Kind]:
    """Every kind of run, trained without a break; in this process, so that children find everything imported."""
    made = {}
    for name, text in configs.items():
        place = tmp_path_factory.mktemp(name)
        (place / "config.yaml").write_text(text)
        start(place / "config.yaml", folder=place / "warm", shown=silent())
        began = time.monotonic()
        assert start(place / "config.yaml", folder=place / "reference", shown=silent()).state == "finished"
        made[name] = Kind(place / "config.yaml", place / "reference", time.monotonic() - began)
    return made


@pytest.fixture(scope="module")
def living(silent: Callable[[], Any]) -> Callable[..., int]:
    """One life of a run in a child: its process id. The child exits with the status that the command would have."""

    def begin(config: Path, folder: Path, display: Any = None, prepare: Callable[[], Any] = lambda: None) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                prepare()
                shown = display or silent()
                if not (folder / "config.yaml").exists():
                    shutil.rmtree(folder, ignore_errors=True)  # killed before there was a run
                    outcome = start(config, folder=folder, shown=shown)
                else:
                    outcome = go_on(folder, shown=shown)
                os._exit(outcome.exit_code)
            except Problem as problem:
                os._exit(problem.exit_code)
            except BaseException:
                traceback.print_exc()
                os._exit(99)
        return pid

    return begin


def ended(pid: int) -> int:
    """Exit status of a child; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def assert_same_end(folder: Path, reference: Path, journal_of: Callable[[Path], Any]) -> None:
    """All tensors, all numbers, all journal lines, the status: equal, with nothing left over."""
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
    assert checkpoint.steps(folder / "checkpoints") == checkpoint.steps(reference / "checkpoints")
    first, second = (checkpoint.load(path / "checkpoints", best).tensors for path in (folder, reference))
    assert all(torch.equal(first[name], tensor) for name, tensor in second.items())
    assert journal_of(folder) == journal_of(reference)
    for key in ("state", "step", "exit_code", "resumable"):
        assert RunFolder(folder).status()[key] == RunFolder(reference).status()[key]
    assert sorted(path.name for path in folder.rglob(".*")) == [".lock"]


NAMES = ["dropout-noise-plateau", "conv-crop-flip-batch-norm", "average-of-the-weights", "early-stopping"]


@pytest.mark.parametrize("name", NAMES)
def test_kills_at_random_times_change_no_bit(
    name: str, kinds: dict[str, Kind], living: Callable[..., int], journal_of: Callable[[Path], Any], tmp_path: Path
) -> None:
    kind, draw, hits, runs = kinds[name], random.Random(name), 0, 0
    while hits < KILLS:
        runs += 1
        folder = tmp_path / f"{runs}"
        while True:
            pid = living(kind.config, folder)
            time.sleep(draw.random() * kind.seconds * 0.5)
            os.kill(pid, signal.SIGKILL)  # it waits to be reaped even when it has ended, so the number is still its own
            status = ended(pid)
            if status == 0:
                break
            assert status == -signal.SIGKILL
            hits += (folder / "config.yaml").exists()
            if (folder / "checkpoints").is_dir() and checkpoint.steps(folder / "checkpoints"):
                skipped: list[Problem] = []
                checkpoint.newest(folder / "checkpoints", skipped.append)
                assert not skipped, "a checkpoint that has its name is whole"
        assert_same_end(folder, kind.reference, journal_of)


class Mortal:
    """A display that kills its process when something that it is told of happens for the n-th time."""

    def __init__(self, silent: Any, deadly: Callable[[str, int, str], bool], after: int = 1) -> None:
        self.silent, self.deadly, self.left = silent, deadly, after

    def happened(self, what: str, number: int, split: str = "") -> None:
        self.left -= self.deadly(what, number, split)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def evaluated(self, number: int, split: str, values: Any) -> None:
        self.happened("evaluated", number, split)

    def saved(self, number: int, path: str, best: bool) -> None:
        self.happened("saved", number)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.silent, name)


@pytest.mark.parametrize("after", [2, 3])
def test_kills_around_every_evaluation_and_every_save(
    after: int,
    kinds: dict[str, Kind],
    living: Callable[..., int],
    silent: Callable[[], Any],
    journal_of: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    """Lives that end at their second (third) event: several in one epoch, at its first and at its last batch."""
    kind, lives, status = kinds["conv-crop-flip-batch-norm"], 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        lives += 1
        assert lives < 100
        status = ended(living(kind.config, tmp_path / "run", Mortal(silent(), lambda what, number, split: True, after)))
    assert status == 0
    assert lives > 10
    assert_same_end(tmp_path / "run", kind.reference, journal_of)


def saved_at(step: int, what: str, number: int, split: str) -> bool:
    return (what, number) == ("saved", step)


def test_two_resumes_in_one_epoch(
    kinds: dict[str, Kind],
    living: Callable[..., int],
    silent: Callable[[], Any],
    journal_of: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    kind = kinds["conv-crop-flip-batch-norm"]
    for step in (9, 12, 15):  # an epoch has eight steps
        deadly = Mortal(silent(), functools.partial(saved_at, step))
        assert ended(living(kind.config, tmp_path / "run", deadly)) == -signal.SIGKILL
    assert ended(living(kind.config, tmp_path / "run")) == 0
    assert_same_end(tmp_path / "run", kind.reference, journal_of)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_killed_at_its_very_end_does_not_train_on(
    name: str,
    kinds: dict[str, Kind],
    living: Callable[..., int],
    silent: Callable[[], Any],
    journal_of: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    """The test split is measured when training is over: by its steps or by early stopping."""
    kind = kinds[name]
    for _ in range(2):
        deadly = Mortal(silent(), lambda what, number, split: split == "test")
        assert ended(living(kind.config, tmp_path / "run", deadly)) == -signal.SIGKILL
    assert ended(living(kind.config, tmp_path / "run")) == 0
    assert_same_end(tmp_path / "run", kind.reference, journal_of)


def wait_for_lines(folder: Path, count: int) -> None:
    """Until a child's journal has that many lines."""
    limit = time.monotonic() + 30
    while not (folder / "journal.jsonl").exists() or (folder / "journal.jsonl").read_bytes().count(b"\n") < count:
        assert time.monotonic() < limit
        time.sleep(0.002)


SIGNALS = [
    *((name, signal.SIGTERM, 143) for name in NAMES),
    ("early-stopping", signal.SIGINT, 130),
    ("average-of-the-weights", signal.SIGINT, 130),
    ("early-stopping", signal.SIGHUP, 129),
]


@pytest.mark.parametrize(
    ("name", "number", "code"), SIGNALS, ids=[f"{name}-{number.name}" for name, number, _ in SIGNALS]
)
def test_a_signal_saves_and_ends_with_its_status(
    name: str,
    number: signal.Signals,
    code: int,
    kinds: dict[str, Kind],
    living: Callable[..., int],
    journal_of: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    """And the folder may be moved before it goes on."""
    kind, folder = kinds[name], tmp_path / "run"
    pid = living(kind.config, folder, prepare=lambda: signal.signal(number, signal.SIG_DFL))  # nohup has it ignored
    wait_for_lines(folder, 5)
    os.kill(pid, number)
    assert ended(pid) == code
    status = RunFolder(folder).status()
    assert [status[key] for key in ("state", "exit_code", "resumable")] == ["interrupted", code, True]
    assert number.name in status["reason"]
    assert status["step"] == checkpoint.newest(folder / "checkpoints").step
    moved = folder.rename(tmp_path / "moved")
    assert ended(living(kind.config, moved)) == 0
    assert_same_end(moved, kind.reference, journal_of)


def test_a_second_interrupt_ends_at_once(
    kinds: dict[str, Kind], living: Callable[..., int], silent: Callable[[], Any], tmp_path: Path
) -> None:
    class Twice(Mortal):
        def happened(self, what: str, number: int, split: str = "") -> None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    kind = kinds["conv-crop-flip-batch-norm"]
    assert ended(living(kind.config, tmp_path / "run", Twice(silent(), lambda *event: False))) == -signal.SIGINT
    assert RunFolder(tmp_path / "run").status()["state"] == "running"
    assert ended(living(kind.config, tmp_path / "run")) == 0


def test_a_finished_run_stays_as_it_is(
    kinds: dict[str, Kind], silent: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = kinds["early-stopping"].reference

    def seen() -> dict[str, tuple[int, bytes]]:
        found = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        return {str(path): (at, path.read_bytes() if path.is_file() else b"") for path, at in found.items()}

    before = seen()
    outcome = go_on(folder, shown=silent())
    assert (outcome.state, outcome.reason, outcome.exit_code) == ("finished", "already complete", 0)
    assert outcome.step == checkpoint.newest(folder / "checkpoints").step
    assert seen() == before
    assert "already complete" in capsys.readouterr().err


def test_a_run_that_is_training_has_one_writer(
    kinds: dict[str, Kind],
    living: Callable[..., int],
    silent: Callable[[], Any],
    journal_of: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    kind, folder = kinds["dropout-noise-plateau"], tmp_path / "run"
    pid = living(kind.config, folder)
    wait_for_lines(folder, 3)
    with pytest.raises(Problem, match=f"process {pid} on") as caught:
        go_on(folder, shown=silent())
    assert (caught.value.code, caught.value.exit_code) == ("run-locked", 7)
    assert ended(pid) == 0
    assert_same_end(folder, kind.reference, journal_of)


def test_a_full_disk_stops_a_run_that_goes_on_later(
    kinds: dict[str, Kind], living: Callable[..., int], journal_of: Callable[[Path], Any], tmp_path: Path
) -> None:
    kind, folder = kinds["dropout-noise-plateau"], tmp_path / "run"

    def fill() -> None:
        write, saves = files.write_new, 0

        def full(path: Path, data: bytes) -> None:
            nonlocal saves
            saves += path.name == "state.safetensors"
            if saves > 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(path, data)

        checkpoint.write_new = full  # type: ignore[attr-defined]

    assert ended(living(kind.config, folder, prepare=fill)) == 6
    status = RunFolder(folder).status()
    assert [status[key] for key in ("state", "exit_code", "resumable")] == ["failed", 6, True]
    assert len(checkpoint.steps(folder / "checkpoints")) in (2, 3), "two, and the best one"
    assert ended(living(kind.config, folder)) == 0
    assert_same_end(folder, kind.reference, journal_of)


def test_a_damaged_newest_checkpoint_costs_steps_and_no_bit(
    kinds: dict[str, Kind],
    living: Callable[..., int],
    silent: Callable[[], Any],
    journal_of: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    kind, folder = kinds["conv-crop-flip-batch-norm"], tmp_path / "run"
    deadly = Mortal(silent(), lambda what, number, split: (what, number) == ("saved", 30))
    assert ended(living(kind.config, folder, deadly)) == -signal.SIGKILL
    (folder / "checkpoints" / "step-00000030" / "state.safetensors").write_bytes(b"half")
    told = silent()
    outcome = go_on(folder, shown=told)
    assert outcome.state == "finished"
    assert told.warnings == ["checkpoint-skipped", "run-killed"]
    assert_same_end(folder, kind.reference, journal_of)


@pytest.mark.parametrize(
    ("old", "new"), [("out: 4", "out: 5"), ("device: cpu", "device: cpu\nprecision: float64")], ids=["shape", "type"]
)
def test_a_checkpoint_of_another_model_is_refused(
    old: str, new: str, kinds: dict[str, Kind], living: Callable[..., int], silent: Callable[[], Any], tmp_path: Path
) -> None:
    kind, folder = kinds["conv-crop-flip-batch-norm"], tmp_path / "run"
    deadly = Mortal(silent(), lambda what, number, split: what == "saved")
    assert ended(living(kind.config, folder, deadly)) == -signal.SIGKILL
    other = kind.config.read_text().replace(old, new)
    assert other != kind.config.read_text()
    (folder / "config.yaml").write_text(other)
    with pytest.raises(Problem) as caught:
        go_on(folder, shown=silent())
    assert (caught.value.code, caught.value.exit_code) == ("checkpoint-model", 5)
    assert "in the checkpoint" in caught.value.why


def test_numbers_that_are_not_finite_spoil_no_checkpoint(
    kinds: dict[str, Kind], silent: Callable[[], Any], tmp_path: Path
) -> None:
    """A learning rate without bounds: exit status 4, the older checkpoints whole, every step of the journal finite."""
    config = tmp_path / "config.yaml"
    text = kinds["early-stopping"].config.read_text().replace("lr: 0.1", "lr: 1.0e+30")
    config.write_text(text)
    with pytest.raises(Problem) as caught:
        start(config, folder=tmp_path / "run", shown=silent())
    assert caught.value.exit_code == 4
    status = RunFolder(tmp_path / "run").status()
    assert (status["state"], status["exit_code"]) == ("failed", 4)
    for step in checkpoint.steps(tmp_path / "run" / "checkpoints"):
        found = checkpoint.load(tmp_path / "run" / "checkpoints", step)
        assert all(
            math.isfinite(float(t.double().sum())) for name, t in found.tensors.items() if name.startswith("network.")
        )
