"""Writing as one act: the old bytes or the new ones, on the disk before they count, never through a link."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from gradtrain.problems import Problem
from gradtrain.storage import files

CODES = {
    errno.ENOSPC: "disk-full", errno.EDQUOT: "disk-full", errno.EFBIG: "disk-full", errno.EACCES: "permission-denied",
    errno.EPERM: "permission-denied", errno.EROFS: "permission-denied", errno.EMFILE: "too-many-files",
    errno.ENFILE: "too-many-files", errno.EIO: "input-output", errno.ENOENT: "input-output",
}  # fmt: skip


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    for data in (b"", b"one", b"\0\xff" * 70_000, b"shorter"):
        files.write_atomically(path, data)
        assert files.read_regular(path) == data
    assert os.listdir(tmp_path) == ["status.json"]


def test_a_new_file_is_never_an_old_one(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for name in ("old", "link"):
        with pytest.raises(FileExistsError):
            files.write_new(tmp_path / name, b"new")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert not (tmp_path / "absent").exists()


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:7])))
    files.write_new(tmp_path / "file", bytes(range(200)))
    assert (tmp_path / "file").read_bytes() == bytes(range(200))


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls, places = tmp_path / "status.json", [], {}
    opened, synced, renamed = os.open, os.fsync, os.rename

    def open_(place: Any, *rest: Any, **more: Any) -> int:
        descriptor = opened(place, *rest, **more)
        places[descriptor] = Path(place)
        return descriptor

    def fsync(descriptor: int) -> None:
        synced(descriptor)
        calls.append("folder" if places[descriptor] == tmp_path else "file")

    def rename(old: Any, new: Any) -> None:
        renamed(old, new)
        calls.append("rename")

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    files.write_atomically(path, b"new")
    assert calls == ["file", "rename", "folder"]


@pytest.mark.fault("F25")
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
@pytest.mark.parametrize("number", CODES, ids=errno.errorcode.get)
def test_an_error_of_the_system_is_named_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(b"old")

    def fail(*args: Any, **more: Any) -> Any:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(Problem) as caught:
            files.write_atomically(path, b"new")
    assert caught.value.code == CODES[number]
    assert caught.value.exit_code == 6
    assert errno.errorcode[number] in caught.value.what
    assert str(path) in str(caught.value.at)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["status.json"]


@pytest.mark.fault("F27")
@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
def test_only_regular_files_are_written_and_read(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "target", tmp_path / "other"
    other.write_bytes(b"precious")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "dangling":
        path.symlink_to(tmp_path / "absent")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(Problem, match=r"is not a regular file|is a folder, not a file") as caught:
        files.write_atomically(path, b"new")
    assert (caught.value.code, caught.value.exit_code) == ("not-a-file", 6)
    with pytest.raises(OSError, match=r".") as refused:
        files.read_regular(path)
    assert refused.value.errno in (errno.ELOOP, errno.EINVAL, errno.EISDIR)
    assert other.read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["other", "target"]


def test_missing_folders_are_made_and_their_names_put_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    files.make_folders(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert sorted(synced) == [tmp_path, tmp_path / "a"]
    files.make_folders(tmp_path / "a" / "b")
    assert len(synced) == 2, "nothing was made, so nothing needs to reach the disk"


def test_a_file_of_terabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 1 << 42)
    with pytest.raises(OSError, match="at most 100 are expected") as caught:
        files.read_regular(path, 100)
    assert caught.value.errno == errno.EFBIG
    os.truncate(path, 100)
    assert files.read_regular(path, 100) == bytes(100)


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644)])
def test_rights_follow_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        files.write_atomically(tmp_path / "status.json", b"{}")
    finally:
        os.umask(before)
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == mode


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".status.json.new").write_bytes(b"half")
    files.write_atomically(tmp_path / "status.json", b"new")
    assert os.listdir(tmp_path) == ["status.json"]
