"""Paths that lead to no readable file, each with its reason."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from gradtrain.components.datasets import _files
from gradtrain.components.datasets._files import read_bytes, resolve
from gradtrain.components.datasets.npz import Npz


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "a.bin").write_bytes(content)
    os.symlink(tmp_path / "a.bin", tmp_path / "link")
    assert read_bytes(tmp_path / "a.bin") == content
    assert read_bytes(tmp_path / "link") == content


def test_a_missing_file_names_its_neighbour(tmp_path, refused) -> None:
    (tmp_path / "prices.csv").write_text("a")
    refused("data-missing", read_bytes, tmp_path / "price.csv", says=("did you mean", "prices.csv"))


def test_a_neighbour_is_near_by_its_name_and_not_by_its_folder(tmp_path, refused) -> None:
    (tmp_path / "zebra.npz").write_text("a")
    assert "zebra" not in refused("data-missing", read_bytes, tmp_path / "price.csv").help


def test_a_missing_folder_is_named_and_its_neighbour(tmp_path, refused) -> None:
    (tmp_path / "data").mkdir()
    refused(
        "data-missing", read_bytes, tmp_path / "dat" / "deep" / "x.csv", says=("has no `dat`", "did you mean `data`")
    )


def test_a_file_on_the_way(tmp_path, refused) -> None:
    (tmp_path / "a").write_text("x")
    refused("data-missing", read_bytes, tmp_path / "a" / "b.csv", says=("is a file, not a folder",))


def test_an_empty_file(tmp_path, refused) -> None:
    (tmp_path / "a").touch()
    refused("data-empty", read_bytes, tmp_path / "a")


def test_a_directory(tmp_path, refused) -> None:
    refused("data-kind", read_bytes, tmp_path, says=("is a directory",))


def test_pipes_devices_and_sockets_are_never_opened(tmp_path, refused, monkeypatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)
    listener.bind("socket")
    monkeypatch.setattr(_files.os, "open", lambda *a, **k: pytest.fail("it was opened"))
    for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero")):
        refused("data-kind", read_bytes, path, says=("is not a regular file",))
    listener.close()


def test_a_file_that_turns_into_a_pipe_before_it_is_opened(tmp_path, refused, monkeypatch) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    opened = os.open
    monkeypatch.setattr(_files.os, "open", lambda path, flags: opened(tmp_path / "pipe", flags))
    refused("data-kind", read_bytes, tmp_path / "file", says=("is not a regular file",))


def test_no_right_to_read(tmp_path, refused, monkeypatch) -> None:
    (tmp_path / "a").write_text("x")

    def denied(path, flags):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_files.os, "open", denied)
    refused("permission-denied", read_bytes, tmp_path / "a", exit=6)


def test_a_broken_disk(tmp_path, refused, monkeypatch) -> None:
    (tmp_path / "a").write_text("x")

    def broken(path, flags):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_files.os, "open", broken)
    refused("input-output", read_bytes, tmp_path / "a", exit=6)


def test_a_file_above_the_limit_is_not_read(tmp_path, refused, monkeypatch) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    monkeypatch.setattr(_files.os, "open", lambda *a: pytest.fail("it was opened"))
    refused("data-limit", read_bytes, tmp_path / "sparse", says=("1,099,511,627,776",))


@pytest.mark.parametrize("path", ["\ud800", "~nobody-of-this-name/x"])
def test_no_path(path: str, refused) -> None:
    refused("data-path", resolve, Path("/base"), path)


def test_a_link_to_itself_and_a_name_too_long(tmp_path, refused) -> None:
    os.symlink(tmp_path / "me", tmp_path / "me")
    refused("data-path", read_bytes, tmp_path / "me")
    refused("data-path", read_bytes, tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    ("path", "says"), [("", "has a name"), ("a\0b", "has a name"), ("https://example.org/a", "never opens the network")]
)
def test_what_names_no_file_is_refused_with_the_config(path: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Npz(path=path)


def test_relative_paths_lie_below_the_base_and_absolute_ones_do_not() -> None:
    assert resolve(Path("/base"), "a/b.csv") == Path("/base/a/b.csv")
    assert resolve(Path("/base"), "/a/b.csv") == Path("/a/b.csv")
