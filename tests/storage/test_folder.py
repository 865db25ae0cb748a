"""The run folder: numbers that are never shared, one writer at a time, no run over another."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrain.problems import Problem
from gradtrain.storage.folder import RunFolder, runs_below

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

Forked = Callable[[Callable[[], Any]], int]


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_numbers_follow_one_another(tmp_path: Path) -> None:
    made = [RunFolder.next(tmp_path / "runs", "digits").path.name for _ in range(3)]
    assert made == ["001", "002", "003"]
    (tmp_path / "runs" / "digits" / "041").mkdir()
    (tmp_path / "runs" / "digits" / "notes").mkdir()
    assert RunFolder.next(tmp_path / "runs", "digits").path.name == "042"
    assert (tmp_path / "runs" / "digits" / "042" / "checkpoints").is_dir()


def test_eight_processes_never_share_a_number(tmp_path: Path, forked: Forked) -> None:
    def take() -> None:
        for _ in range(10):
            (RunFolder.next(tmp_path, "run").path / str(os.getpid())).touch()

    assert [ended(pid) for pid in [forked(take) for _ in range(8)]] == [0] * 8
    taken = list((tmp_path / "run").iterdir())
    assert sorted(path.name for path in taken) == [f"{number:03d}" for number in range(1, 81)]
    assert all(len(os.listdir(path)) == 2 for path in taken)


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "/x", "a/b", "-rf", ".x", "a..b", "a\nb", "a\0b", "x" * 65, "．．／x", "a\\b"]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem) as caught:
        RunFolder.next(tmp_path, name)
    assert (caught.value.code, caught.value.exit_code) == ("bad-name", 2)
    assert os.listdir(tmp_path) == []


def test_a_linked_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "run").symlink_to(tmp_path / "outside")
    with pytest.raises(Problem, match="leads out of") as caught:
        RunFolder.next(tmp_path / "runs", "run")
    assert caught.value.code == "not-a-file"
    assert os.listdir(tmp_path / "outside") == []


def test_a_run_is_never_written_over_another_one(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "deep" / "new").begin("{}", "name: a\n")
    (tmp_path / "file").touch()
    for name in ("deep/new", "deep", "file"):
        with pytest.raises(Problem) as caught:
            RunFolder.create(tmp_path / name)
        assert (caught.value.code, caught.value.exit_code) == ("run-exists", 7)


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path).path == tmp_path


def test_a_beginning_that_was_killed_may_become_a_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    with folder.lock():
        folder.write("environment.json", "{}")
    again = RunFolder.create(folder.path)
    with again.lock():
        again.begin("{}", "name: a\n")
    with pytest.raises(Problem, match="exists and is not empty"):  # two had found it empty, the other one was faster
        folder.begin("{}", "name: b\n")
    assert (folder.path / "config.yaml").read_text() == "name: a\n"


def test_who_died_without_a_word_is_killed(tmp_path: Path, forked: Forked) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.begin("{}", "")
    read, write = os.pipe()

    def run() -> None:
        with folder.lock():
            folder.write_status("running")
            os.write(write, b".")
            signal.pause()

    pid = forked(run)
    os.read(read, 1)
    assert (folder.state(), folder.held()) == ("running", True)
    os.kill(pid, signal.SIGKILL)
    ended(pid)
    assert (folder.state(), folder.held()) == ("killed", False)
    folder.write_status("interrupted", step=3)
    assert folder.state() == "interrupted"
    (folder.path / "status.json").write_text("{")
    assert folder.state() == "unknown"
    (folder.path / "status.json").unlink()
    assert folder.state() == "killed"


def test_whoever_looks_at_a_lock_keeps_nobody_out(tmp_path: Path, forked: Forked) -> None:
    folder = RunFolder.create(tmp_path)

    def look() -> None:
        while True:
            folder.held()

    pids = [forked(look) for _ in range(2)]
    try:
        for _ in range(200):
            with folder.lock():
                pass
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            ended(pid)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_folder_that_cannot_be_made_is_a_matter_of_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*args: Any, **more: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", fail)
    calls: list[Callable[[], RunFolder]] = [
        lambda: RunFolder.create(tmp_path / "new"),
        lambda: RunFolder.next(tmp_path / "runs", "run"),
    ]
    for call in calls:
        with pytest.raises(Problem, match=errno.errorcode[number]) as caught:
            call()
        assert caught.value.exit_code == 6


def test_only_a_run_is_opened(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    for path in (folder.path, tmp_path, tmp_path / "absent"):
        with pytest.raises(Problem, match="is not a run's folder") as caught:
            RunFolder.open(path)
        assert (caught.value.code, caught.value.exit_code) == ("not-a-run", 2)
    folder.write("config.yaml", "name: x\n")
    assert RunFolder.open(folder.path) == folder


@pytest.mark.parametrize("member", ["config.yaml", "checkpoints"])
def test_a_link_inside_a_run_is_not_followed(tmp_path: Path, member: str) -> None:
    """A resume deletes old checkpoints: a link would lead it to those of another run."""
    runs = []
    for _ in range(2):
        runs.append(RunFolder.next(tmp_path, "run"))
        runs[-1].write("config.yaml", "")
    other, run = (found.path / member for found in runs)
    run.unlink() if run.is_file() else run.rmdir()
    run.symlink_to(other)
    with pytest.raises(Problem, match="is a link") as caught:
        RunFolder.open(runs[1].path)
    assert (caught.value.code, caught.value.exit_code) == ("not-a-file", 6)
    assert runs_below(tmp_path) == [runs[0].path], "one bad folder does not spoil the list"


@pytest.mark.parametrize("name", ["model.pt", "x.pth", "last.ckpt", "pytorch_model.bin", "a.pkl"])
def test_a_pickle_is_told_from_a_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(Problem) as caught:
        RunFolder.open(tmp_path / name)
    assert (caught.value.code, caught.value.exit_code) == ("checkpoint-unsafe", 5)


def test_the_line_to_paste_resumes_the_run_that_is_there(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "my run; touch x")
    folder.write("notes.txt", "")
    for resumable in (False, True):
        with pytest.raises(Problem) as caught:
            RunFolder.create(folder.path)
        assert (f"`gradtrain resume '{folder.path}'`" in caught.value.help) is resumable
        folder.write("config.yaml", "")


def test_a_new_run_is_on_the_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = [], os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    path = RunFolder.next(tmp_path / "runs", "digits").path
    assert {place.stat().st_ino for place in (tmp_path, path.parent.parent, path.parent, path)} == set(synced)


def test_a_process_keeps_the_time_when_it_began(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.write_status("running")
    began = folder.status()["started"]
    status = folder.status() | {"started": "2001-01-01T00:00:00Z"}
    folder.write("status.json", json.dumps(status))
    folder.write_status("interrupted", step=3)
    assert folder.status()["started"] == "2001-01-01T00:00:00Z"
    folder.write_status("running", step=3)
    assert folder.status()["started"] >= began > "2001-01-01"


def test_status_is_told_and_survives_damage(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    assert folder.status() == {}
    folder.write_status("interrupted", step=7, reason="SIGTERM", exit_code=143)
    status = folder.status()
    assert [status[key] for key in ("state", "step", "reason", "exit_code", "resumable")] == [
        "interrupted",
        7,
        "SIGTERM",
        143,
        True,
    ]
    folder.write_status("finished", step=9)
    assert folder.status()["resumable"] is False
    for data in (b"", b"{", b"[1]", b"\xff", b"[" * 100_000):
        (folder.path / "status.json").write_bytes(data)
        assert folder.status() == {}


def test_a_second_process_is_turned_away_at_once(tmp_path: Path, forked: Forked) -> None:
    folder = RunFolder.create(tmp_path / "run")

    def try_it() -> None:
        began = time.monotonic()
        try:
            with folder.lock():
                os._exit(3)
        except Problem as problem:
            said = (
                problem.code,
                problem.exit_code,
                f"process {parent} on" in problem.what,
                time.monotonic() - began < 1,
            )
            os._exit(0 if said == ("run-locked", 7, True, True) else 4)

    parent = os.getpid()
    with folder.lock():
        before = (folder.path / ".lock").read_bytes()
        assert ended(forked(try_it)) == 0
        assert (folder.path / ".lock").read_bytes() == before, "the loser changed the winner's lock"
    assert ended(forked(try_it)) == 3, "a lock that was let go is free"


def test_of_processes_that_begin_together_one_wins(tmp_path: Path, forked: Forked) -> None:
    folder, gate = RunFolder.create(tmp_path / "run"), os.pipe()

    def compete() -> None:
        os.close(gate[1])
        os.read(gate[0], 1)  # returns when the parent closes its end
        try:
            with folder.lock():
                os.write(won[1], b"x")
                time.sleep(0.3)
        except Problem as problem:
            os._exit(problem.exit_code)

    won = os.pipe()
    children = [forked(compete) for _ in range(6)]
    os.close(gate[0])
    os.close(gate[1])
    assert sorted(ended(pid) for pid in children) == [0, 7, 7, 7, 7, 7]
    os.close(won[1])
    assert os.read(won[0], 10) == b"x"
    os.close(won[0])


def test_a_killed_owner_leaves_no_lock(tmp_path: Path, forked: Forked) -> None:
    folder = RunFolder.create(tmp_path / "run")
    for _ in range(20):
        ready = os.pipe()

        def hold(ready: tuple[int, int] = ready) -> None:
            with folder.lock():
                os.write(ready[1], b"x")
                time.sleep(60)

        pid = forked(hold)
        assert os.read(ready[0], 1) == b"x"
        os.kill(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL
        with folder.lock():
            assert f"process {os.getpid()} on" in (folder.path / ".lock").read_text()
        os.close(ready[0])
        os.close(ready[1])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_lock_is_not_inherited_by_programs(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    with folder.lock():
        held = [
            int(name)
            for name in os.listdir("/proc/self/fd")
            if os.path.realpath(f"/proc/self/fd/{name}") == str(folder.path / ".lock")
        ]
        assert held
        assert not any(os.get_inheritable(descriptor) for descriptor in held)


def test_a_full_disk_does_not_stop_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", fail)
    folder = RunFolder.create(tmp_path / "run")
    with folder.lock(), pytest.raises(Problem) as caught, folder.lock():
        pass
    assert caught.value.code == "run-locked"


def test_runs_are_found_two_levels_deep(tmp_path: Path) -> None:
    assert runs_below(tmp_path / "absent") == []
    for name in ("b", "a", "a"):
        RunFolder.next(tmp_path, name).write("config.yaml", "")
    RunFolder.next(tmp_path, "unborn")
    for number in ("999", "1000"):
        RunFolder.create(tmp_path / "b" / number).write("config.yaml", "")
    found = [str(path.relative_to(tmp_path)) for path in runs_below(tmp_path)]
    assert found == ["a/001", "a/002", "b/001", "b/999", "b/1000"]
