"""What a run finds where it means to write: other kinds of files, a folder that is gone, limits of the system."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrain.problems import Problem
from gradtrain.start import go_on
from gradtrain.storage import room
from gradtrain.storage.folder import RunFolder

from .rig import Kind, Silent, Telling, ended, living

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.xdist_group("kill"),
]

Kinds = Callable[[str], Kind]
WRITTEN = ("status.json", "environment.json", "journal.jsonl", ".lock", "checkpoints/step-00000035", "samples")


def put(path: Path, kind: str, outside: Path) -> None:
    """Something that is no file, at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "device":
            try:
                os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))  # the null device, under another name
            except PermissionError:
                pytest.skip("only root makes devices")
        case "socket":
            here = os.open(path.parent, os.O_RDONLY)
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(f"/proc/self/fd/{here}/{path.name}")  # a socket's path is short
            os.close(here)
        case "link":
            path.symlink_to(outside)
        case "dangling":
            path.symlink_to(outside / "nowhere")
        case "folder":
            path.mkdir()
            (path / "precious").touch()


@pytest.fixture(scope="module")
def stopped(kind: Kinds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted at step 28."""
    folder = tmp_path_factory.mktemp("stopped") / "run"

    def tell(what: str, number: int, split: str) -> None:
        if (what, number) == ("saved", 28):
            os.kill(os.getpid(), signal.SIGTERM)

    assert ended(living(kind("dropout-noise-plateau").config, folder, Telling(tell))) == 143
    return folder


@pytest.mark.fault("F27")
@pytest.mark.parametrize("what", ["fifo", "device", "socket", "link", "dangling", "folder"])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_no_file_is_not_written_to(name: str, what: str, stopped: Path, tmp_path: Path) -> None:
    """Six kinds in the place of everything that a run writes: refused, and as it was."""
    folder, outside = tmp_path / "run", tmp_path / "outside"
    shutil.copytree(stopped, folder)
    outside.mkdir()
    (outside / "precious").write_text("mine")
    put(folder / name, what, outside)
    before = os.lstat(folder / name)
    if name == "samples":
        act: Callable[[], Any] = lambda: RunFolder.open(folder).write("samples/a.txt", "x")  # noqa: E731
    elif name == "environment.json":
        act = lambda: RunFolder.open(folder).write(name, "{}")  # noqa: E731
    else:
        act = lambda: go_on(folder, shown=Silent())  # noqa: E731
    if what == "folder" and name in ("samples", "checkpoints/step-00000035"):
        return  # that is what belongs there
    with pytest.raises(Problem) as caught:
        act()
    assert (caught.value.code, caught.value.exit_code) == ("not-a-file", 6)
    after = os.lstat(folder / name)
    assert (before.st_ino, before.st_mode, before.st_mtime_ns) == (after.st_ino, after.st_mode, after.st_mtime_ns)
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "mine"


@pytest.mark.fault("F31")
def test_a_run_folder_that_is_deleted_stays_deleted(kind: Kinds, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def tell(what: str, number: int, split: str) -> None:
        if (what, number) == ("step", 20):
            shutil.rmtree(folder)

    assert ended(living(kind("dropout-noise-plateau").config, folder, Telling(tell))) == 6
    assert not folder.exists()


@pytest.mark.fault("F25")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("name", [".environment.json.new", ".config.yaml.new", ".status.json.new"])
def test_a_run_that_cannot_write_what_it_must_ends_before_its_first_step(
    name: str, number: int, kind: Kinds, tmp_path: Path
) -> None:
    """And leaves a folder that can be begun anew, or gone on with."""
    config, folder = kind("early-stopping").config, tmp_path / "run"

    def prepare() -> None:
        opened = os.open

        def fail(path: Any, *rest: Any, **more: Any) -> int:
            if str(path).endswith(name):
                raise OSError(number, os.strerror(number))
            return opened(path, *rest, **more)

        os.open = fail

    assert ended(living(config, folder, prepare=prepare)) == 6
    assert not (folder / "journal.jsonl").exists() or (folder / "journal.jsonl").read_bytes() == b""
    assert ended(living(config, folder)) == 0


@pytest.mark.fault("F23")
def test_the_room_is_looked_at_before_the_first_step(
    kind: Kinds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class System:
        f_frsize, f_blocks, f_bavail = 1, 10**6, 0

    monkeypatch.setattr(room.os, "statvfs", lambda path: System)
    for free, told in ((4000, []), (3999, ["disk-tight"]), (1000, ["disk-tight"])):
        System.f_bavail = free
        assert [problem.code for problem in room.look(tmp_path, 1000, 4)] == told
    System.f_bavail = 999
    with pytest.raises(Problem, match="a checkpoint takes about 1 kB, 999 bytes are free") as caught:
        room.look(tmp_path, 1000, 4)
    assert (caught.value.code, caught.value.exit_code) == ("disk-full", 6)
    System.f_blocks = 0  # a system that does not know
    assert room.look(tmp_path, 1000, 4) == []

    def prepare() -> None:
        System.f_blocks = 10**6

    assert ended(living(kind("dropout-noise-plateau").config, tmp_path / "run", prepare=prepare)) == 6
    assert not (tmp_path / "run" / "journal.jsonl").exists()
