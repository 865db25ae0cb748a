"""Runs that are killed and moved while they train end bit for bit as if nothing had happened."""

from __future__ import annotations

import errno
import functools
import math
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gradtrain.problems import Problem, flatten
from gradtrain.start import go_on, start
from gradtrain.storage import checkpoint, files
from gradtrain.storage.folder import RunFolder

from .rig import (
    CONFIGS,
    NAMES,
    Kind,
    Silent,
    Telling,
    assert_same_end,
    dying,
    ended,
    journal_of,
    living,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.xdist_group("kill"),
]

Kinds = Callable[[str], Kind]


def killed_at_random(kind: Kind, draw: random.Random, folder: Path) -> int:
    """Lives of one run that are killed at random times, until one of them ends: how many kills hit a run."""
    hits = 0
    while True:
        pid = living(kind.config, folder)
        time.sleep(draw.random() * kind.seconds * 0.4)
        os.kill(pid, signal.SIGKILL)  # it waits to be reaped even when it has ended, so the number is still its own
        status = ended(pid)
        if status == 0:
            return hits
        assert status == -signal.SIGKILL
        hits += (folder / "config.yaml").exists()
        if (folder / "checkpoints").is_dir() and checkpoint.steps(folder / "checkpoints"):
            skipped: list[Problem] = []
            checkpoint.newest(folder / "checkpoints", skipped.append)
            assert not skipped, "a checkpoint that has its name is whole"


def assert_steps_once(folder: Path) -> None:
    """The journal has every step's line exactly once, in order."""
    steps = [line["step"] for line in journal_of(folder) if line["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.fault("F01", "F04", "F06", "F29", "F49", "F78")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kills", [pytest.param(50, id="50"), pytest.param(500, id="500", marks=pytest.mark.slow)])
def test_kills_at_random_times_change_no_bit(name: str, kills: int, kind: Kinds, tmp_path: Path) -> None:
    """Of each kind of run; the next life begins at once, while the lock of the one before has just been freed."""
    draw, hits, runs = random.Random(f"{name}{kills}"), 0, 0
    while hits < kills:
        runs += 1
        folder = tmp_path / f"{runs}"
        hits += killed_at_random(kind(name), draw, folder)
        assert_same_end(folder, kind(name).reference)
        if "logging: {every: 1 step}" in CONFIGS[name]:
            assert_steps_once(folder)


@pytest.mark.fault("F26")
@pytest.mark.parametrize("kills", [pytest.param(10, id="10"), pytest.param(50, id="50", marks=pytest.mark.slow)])
def test_a_run_on_another_file_system_than_temporary_files(
    kills: int, kind: Kinds, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temporary file that had to be moved from one system to the other would not be renamed but copied."""
    disk = tmp_path_factory.mktemp("disk")
    if disk.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    one = kind("early-stopping")
    for root, other in ((disk, tmp_path), (tmp_path, disk)):
        monkeypatch.setattr(tempfile, "tempdir", str(other))
        draw, hits, runs = random.Random(0), 0, 0
        while hits < kills / 2:
            runs += 1
            hits += killed_at_random(one, draw, root / f"{runs}")
            assert_same_end(root / f"{runs}", one.reference)


@pytest.mark.fault("F05", "F07", "F08")
@pytest.mark.parametrize("after", [2, 3])
def test_kills_around_every_evaluation_and_every_save(after: int, kind: Kinds, tmp_path: Path) -> None:
    """Lives that end at their second (third) event: several in one epoch, at its first and at its last batch."""
    conv, lives, status = kind("conv-crop-flip-batch-norm"), 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        lives += 1
        assert lives < 100
        status = ended(living(conv.config, tmp_path / "run", dying(lambda what, number, split: True, after)))
    assert status == 0
    assert lives > 10
    assert_same_end(tmp_path / "run", conv.reference)


@pytest.mark.fault("F04", "F06", "F08")
@pytest.mark.parametrize("every", [pytest.param(13, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)])
def test_a_kill_behind_every_step_of_an_epoch(every: int, kind: Kinds, tmp_path: Path) -> None:
    """Steps of two micro-batches; the newest checkpoint is up to two steps older. Epochs have sixteen steps."""
    conv = kind("conv-crop-flip-batch-norm")
    for step in range(1, 40, every):
        folder = tmp_path / str(step)

        def tell(what: str, number: int, split: str, step: int = step) -> None:
            if (what, number) == ("step", step):
                os.kill(os.getpid(), signal.SIGKILL)

        assert ended(living(conv.config, folder, Telling(tell))) == -signal.SIGKILL
        assert ended(living(conv.config, folder)) == 0
        assert_same_end(folder, conv.reference)


def saved_at(step: int, what: str, number: int, split: str) -> bool:
    return (what, number) == ("saved", step)


@pytest.mark.fault("F05")
def test_ten_resumes_in_one_epoch(kind: Kinds, tmp_path: Path) -> None:
    conv, folder, config = kind("conv-crop-flip-batch-norm"), tmp_path / "run", tmp_path / "config.yaml"
    config.write_text(conv.config.read_text().replace("every: 3 steps", "every: 1 steps"))
    for step in range(3, 13):  # of sixteen
        assert ended(living(config, folder, dying(functools.partial(saved_at, step)))) == -signal.SIGKILL
    assert ended(living(config, folder)) == 0
    assert_same_end(folder, conv.reference, same_steps=False)


@pytest.mark.fault("F07")
@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_killed_at_its_very_end_does_not_train_on(name: str, kind: Kinds, tmp_path: Path) -> None:
    """The test split is measured when training is over: by its steps or by early stopping."""
    one = kind(name)
    for _ in range(2):
        deadly = dying(lambda what, number, split: split == "test")
        assert ended(living(one.config, tmp_path / "run", deadly)) == -signal.SIGKILL
    assert ended(living(one.config, tmp_path / "run")) == 0
    assert_same_end(tmp_path / "run", one.reference)


@pytest.mark.fault("F79")
def test_a_finished_run_stays_as_it_is(kind: Kinds, capsys: pytest.CaptureFixture[str]) -> None:
    folder = kind("early-stopping").reference

    def seen() -> dict[str, tuple[int, bytes]]:
        found = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        return {str(path): (at, path.read_bytes() if path.is_file() else b"") for path, at in found.items()}

    before = seen()
    outcome = go_on(folder, shown=Silent())
    assert (outcome.state, outcome.reason, outcome.exit_code) == ("finished", "already complete", 0)
    assert outcome.step == checkpoint.newest(folder / "checkpoints").step
    assert seen() == before
    assert "already complete" in capsys.readouterr().err


@pytest.mark.fault("F28")
def test_a_run_that_is_training_has_one_writer(kind: Kinds, tmp_path: Path) -> None:
    one, folder = kind("dropout-noise-plateau"), tmp_path / "run"
    told: list[str] = []

    def tell(what: str, number: int, split: str) -> None:
        told.append(what)
        if len(told) == 1:
            os.kill(os.getpid(), signal.SIGSTOP)  # in the middle, for as long as the other one asks

    pid = living(one.config, folder, Telling(tell))
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    with pytest.raises(Problem, match=f"process {pid} on") as caught:
        go_on(folder, shown=Silent())
    os.kill(pid, signal.SIGCONT)
    assert (caught.value.code, caught.value.exit_code) == ("run-locked", 7)
    assert ended(pid) == 0
    assert_same_end(folder, one.reference)


@pytest.mark.fault("F28")
@pytest.mark.parametrize("pairs", [pytest.param(5, id="5"), pytest.param(50, id="50", marks=pytest.mark.slow)])
def test_of_two_that_start_together_one_wins(pairs: int, kind: Kinds, tmp_path: Path) -> None:
    """The other one is refused, whether it comes before, while or after the winner trains."""
    one = kind("early-stopping")
    for pair in range(pairs):
        folder = tmp_path / str(pair)
        assert sorted(ended(pid) for pid in [living(one.config, folder, fresh=True) for _ in range(2)]) == [0, 7]
        assert_same_end(folder, one.reference)


@pytest.mark.fault("F80")
def test_children_of_a_killed_process_do_not_hold_its_lock(kind: Kinds, tmp_path: Path) -> None:
    """A program that it had started outlives it, 20 times; the next life begins at once all the same."""
    one, folder = kind("conv-crop-flip-batch-norm"), tmp_path / "run"
    orphans = []
    for life in range(20):
        read, write = os.pipe()

        def tell(what: str, number: int, split: str, write: int = write) -> None:
            child = subprocess.Popen(["sleep", "300"], close_fds=False)
            os.write(write, child.pid.to_bytes(4, "little"))
            os.kill(os.getpid(), signal.SIGKILL)

        assert ended(living(one.config, folder, Telling(tell))) == -signal.SIGKILL, life
        orphans.append(int.from_bytes(os.read(read, 4), "little"))
        os.close(read)
        os.close(write)
    try:
        assert ended(living(one.config, folder)) == 0
        for pid in orphans:
            os.kill(pid, 0)  # it is still there
    finally:
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
    assert_same_end(folder, one.reference)


@pytest.mark.fault("F30")
def test_a_run_may_be_moved_between_two_lives(kind: Kinds, tmp_path: Path) -> None:
    one, folder = kind("conv-crop-flip-batch-norm"), tmp_path / "run"
    for step in (9, 21, 33):
        assert ended(living(one.config, folder, dying(functools.partial(saved_at, step)))) == -signal.SIGKILL
        folder = folder.rename(tmp_path / f"moved after {step}")
    assert ended(living(one.config, folder)) == 0
    assert_same_end(folder, one.reference)


@pytest.mark.fault("F23")
def test_a_full_disk_stops_a_run_that_goes_on_later(kind: Kinds, tmp_path: Path) -> None:
    one, folder = kind("dropout-noise-plateau"), tmp_path / "run"

    def fill() -> None:
        write, saves = files.write_new, 0

        def full(path: Path, data: bytes) -> None:
            nonlocal saves
            saves += path.name == "state.safetensors"
            if saves > 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(path, data)

        checkpoint.write_new = full  # type: ignore[attr-defined]

    assert ended(living(one.config, folder, prepare=fill)) == 6
    status = RunFolder(folder).status()
    assert [status[key] for key in ("state", "exit_code", "resumable")] == ["failed", 6, True]
    assert len(checkpoint.steps(folder / "checkpoints")) in (2, 3), "two, and the best one"
    assert ended(living(one.config, folder)) == 0
    assert_same_end(folder, one.reference)


@pytest.mark.fault("F13")
def test_a_damaged_newest_checkpoint_costs_steps_and_no_bit(kind: Kinds, tmp_path: Path) -> None:
    one, folder = kind("conv-crop-flip-batch-norm"), tmp_path / "run"
    assert ended(living(one.config, folder, dying(functools.partial(saved_at, 30)))) == -signal.SIGKILL
    (folder / "checkpoints" / "step-00000030" / "state.safetensors").write_bytes(b"half")
    told = Silent()
    outcome = go_on(folder, shown=told)
    assert outcome.state == "finished"
    assert told.warnings == ["checkpoint-skipped", "run-killed"]
    assert_same_end(folder, one.reference)


@pytest.mark.parametrize(
    ("old", "new"), [("out: 4", "out: 5"), ("device: cpu", "device: cpu\nprecision: float64")], ids=["shape", "type"]
)
def test_a_checkpoint_of_another_model_is_refused(old: str, new: str, kind: Kinds, tmp_path: Path) -> None:
    one, folder = kind("conv-crop-flip-batch-norm"), tmp_path / "run"
    assert ended(living(one.config, folder, dying(lambda what, number, split: what == "saved"))) == -signal.SIGKILL
    other = one.config.read_text().replace(old, new)
    assert other != one.config.read_text()
    (folder / "config.yaml").write_text(other)
    with pytest.raises(ExceptionGroup) as caught:
        go_on(folder, shown=Silent())
    assert [(problem.code, problem.exit_code) for problem in flatten(caught.value)] == [("config-changed", 5)]
    key = "out" if "out" in new else "precision"
    with pytest.raises(Problem) as refused:
        go_on(folder, shown=Silent(), allowed=[f"model.layers.0.{key}" if key == "out" else key])
    assert (refused.value.code, refused.value.exit_code) == ("checkpoint-model", 5)
    assert "in the checkpoint" in refused.value.why


def test_numbers_that_are_not_finite_spoil_no_checkpoint(tmp_path: Path) -> None:
    """A learning rate without bounds: exit status 4, the older checkpoints whole, every step of the journal finite."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIGS["early-stopping"].replace("lr: 0.1", "lr: 1.0e+30"))
    with pytest.raises(Problem) as caught:
        start(config, folder=tmp_path / "run", shown=Silent())
    assert caught.value.exit_code == 4
    status = RunFolder(tmp_path / "run").status()
    assert (status["state"], status["exit_code"]) == ("failed", 4)
    for step in checkpoint.steps(tmp_path / "run" / "checkpoints"):
        found = checkpoint.load(tmp_path / "run" / "checkpoints", step)
        assert all(
            math.isfinite(float(t.double().sum())) for name, t in found.tensors.items() if name.startswith("network.")
        )
