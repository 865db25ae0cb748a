"""A real file system that is full: a small one in memory, mounted in a namespace of the child's own.

That takes no rights where the kernel lets users have namespaces; elsewhere these tests are skipped, and the limits of
`tests/storage/test_checkpoint.py` remain, which the kernel enforces as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrain.problems import Problem
from gradtrain.start import go_on, start
from gradtrain.storage import checkpoint

from .rig import Silent, assert_same_end

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

CONFIG = """
name: full
device: cpu
data: {source: {moons: {count: 64}}, split: {val: 0.5}, batch_size: 8}
model: {layers: [{linear: 160}, relu, {linear: 160}, relu, {linear: 2}]}
loss: cross_entropy
optimizer: {adam: {lr: 0.01}}
training: {steps: 12}
checkpoint: {every: 2 steps, keep: 4, best: val.loss}
evaluation: {every: 2 steps}
logging: {every: 1 step}
"""
NEWNS, NEWUSER, REMOUNT, PRIVATE = 0x20000, 0x10000000, 32, 0x44000


def small_disk(place: Path, size: int) -> None:
    """Mount a disk of so many bytes that nobody but this process sees. Raises OSError where that is not allowed."""
    user, group = os.geteuid(), os.getegid()
    called(libc.unshare(NEWNS | (NEWUSER if user else 0)))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    called(libc.mount(b"none", b"/", None, PRIVATE, None))
    called(libc.mount(b"none", bytes(place), b"tmpfs", 0, f"size={size}".encode()))


def resized(place: Path, size: int) -> None:
    called(libc.mount(b"none", bytes(place), b"tmpfs", REMOUNT, f"size={size}".encode()))


libc = ctypes.CDLL(None, use_errno=True)


def called(status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def told(work: Callable[[], Any]) -> Any:
    """What a child says; the test is skipped where it may not mount, and fails with the child."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said: Any = {"said": work()}
        except PermissionError as error:
            said = {"skip": str(error)}
        except BaseException:
            said = {"failed": traceback.format_exc()}
        os.write(write, json.dumps(said).encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        said = json.loads(pipe.read())
    os.waitpid(pid, 0)
    if "skip" in said:
        pytest.skip(f"this machine lets nobody mount a disk of their own: {said['skip']}")
    assert "failed" not in said, said["failed"]
    return said["said"]


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass


def ended(call: Callable[[], Any]) -> int:
    try:
        return int(call().exit_code)
    except Problem as problem:
        return problem.exit_code


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on a disk with room."""
    place = tmp_path_factory.mktemp("whole")
    (place / "c.yaml").write_text(CONFIG)
    start(place / "c.yaml", folder=place / "run", shown=Silent())
    return place


def room_of(folder: Path) -> int:
    """Bytes that a folder takes where every file takes whole pages."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


@pytest.mark.fault("F23")
@pytest.mark.parametrize("sizes", [pytest.param(6, id="6"), pytest.param(30, id="30", marks=pytest.mark.slow)])
def test_a_disk_of_any_size_keeps_the_older_checkpoint_and_the_run_goes_on_with_more_room(
    sizes: int, whole: Path, tmp_path: Path
) -> None:
    """From the room of one checkpoint to that of all: a run ends well or with 6, and loses no bit by it."""
    one = room_of(next((whole / "run" / "checkpoints").iterdir()))
    place = tmp_path / "disk"
    place.mkdir()

    def life(size: int) -> list[Any]:
        small_disk(place, size)
        folder = place / "run"
        status = ended(lambda: start(whole / "c.yaml", folder=folder, shown=Silent()))
        left = sorted(path.name for path in (folder / "checkpoints").iterdir())
        steps = checkpoint.steps(folder / "checkpoints")
        found = checkpoint.newest(folder / "checkpoints").step if steps else 0
        resized(place, 64 << 20)
        again = lambda: go_on(folder, shown=Silent()) if (folder / "config.yaml").exists() else start(  # noqa: E731
            whole / "c.yaml", folder=folder, shown=Silent())  # fmt: skip
        assert ended(again) == 0
        assert_same_end(folder, whole / "run")
        return [status, left, steps, found]

    seen = []
    for number in range(sizes):
        size = int(one * (1.0 + 5.0 * number / (sizes - 1)))
        status, left, steps, found = told(lambda size=size: life(size))  # type: ignore[misc]
        assert status in (0, 6), size
        assert left == [f"step-{step:08d}" for step in steps], "nothing is left of what failed"
        assert found == max(steps, default=0)
        seen.append((status, len(steps)))
    assert seen == sorted(seen, key=lambda one: (one[0] == 0, one[1])), "a larger disk takes a run further"
    assert {status for status, _ in seen} == {0, 6}
    assert max(steps for status, steps in seen if status == 6) >= 2


@pytest.mark.fault("F24")
def test_a_journal_that_finds_no_room_does_not_stop_a_run(tmp_path: Path) -> None:
    """Somebody else fills the disk between two lines and clears it later: the gap is told."""
    place, config = tmp_path / "disk", tmp_path / "c.yaml"
    place.mkdir()
    rare = CONFIG.replace("every: 2 steps", "every: 100 steps").replace("keep: 4, best: val.loss", "keep: 2")
    config.write_text(rare.replace("steps: 12", "steps: 100"))

    class Filling(Silent):
        def wants(self, number: int) -> bool:
            if number == 3:
                fill(place / "filler")
            elif number == 80:
                (place / "filler").unlink()
            return False

    def life() -> list[Any]:
        small_disk(place, 8 << 20)
        shown = Filling()
        status = ended(lambda: start(config, folder=place / "run", shown=shown))
        lines = [json.loads(line) for line in (place / "run" / "journal.jsonl").read_text().splitlines()]
        return [
            status,
            shown.warnings,
            [line["missing_lines_before"] for line in lines if "missing_lines_before" in line],
        ]

    status, warnings, gaps = told(life)
    assert status == 0
    assert warnings.count("journal-gap") == len(gaps) > 0, "a short line may fit where a long one did not"
    assert sum(gaps) > 10
