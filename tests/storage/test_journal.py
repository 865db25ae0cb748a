"""The journal: whole lines only, numbers that are not finite, a full disk, and the cut of a resume."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gradtrain.problems import Problem
from gradtrain.storage.journal import Journal, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_lines_come_back(path: Path) -> None:
    lines: list[dict[str, Any]] = [{"step": 1, "loss": 0.1 + 0.2, "names": ["ä\n", "b"], "none": None}, {"step": 2}]
    journal = Journal(path)
    for line in lines:
        journal.write(line)
    assert journal.offset() == path.stat().st_size
    journal.close()
    assert list(read(path)) == lines
    assert path.read_bytes().count(b"\n") == 2


def test_every_line_is_json_that_any_reader_takes(path: Path) -> None:
    journal = Journal(path)
    journal.write({"a": float("nan"), "b": [float("inf"), (float("-inf"),)], "c": {"d": float("nan")}, "e": 1.5})
    journal.close()

    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "a": "nan",
        "b": ["inf", ["-inf"]],
        "c": {"d": "nan"},
        "e": 1.5,
    }


def test_a_resume_cuts_back_to_what_its_checkpoint_knew(path: Path) -> None:
    journal = Journal(path)
    journal.write({"step": 1})
    known = journal.offset()
    journal.write({"step": 2, "life": 1})
    os.write(journal.descriptor, b'{"step": 3, "li')
    journal.close()
    resumed = Journal(path, known)
    resumed.write({"step": 2, "life": 2})
    resumed.close()
    assert list(read(path)) == [{"step": 1}, {"step": 2, "life": 2}]


def test_a_beginning_takes_away_what_an_earlier_life_wrote(path: Path) -> None:
    path.write_bytes(b'{"step": 1}\n')
    Journal(path).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("kept", range(12))
def test_a_half_last_line_is_left_out(path: Path, kept: int) -> None:
    path.write_bytes(b'{"step": 1}\n' + b'{"step": 2}\n'[:kept])
    assert list(read(path)) == [{"step": 1}, {"step": 2}][: 1 + (kept == 11)]


@pytest.mark.parametrize(
    "bad", [b"{half", b"[1]", b"7", b'{"loss": NaN}', b'{"loss": -Infinity}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_bad_line_in_the_middle_is_named(path: Path, bad: bytes) -> None:
    path.write_bytes(b'{"step": 1}\n' + bad + b'\n{"step": 3}\n')
    with pytest.raises(Problem, match="line 2 of the journal") as caught:
        list(read(path))
    assert (caught.value.code, caught.value.exit_code) == ("journal-damaged", 5)
    assert caught.value.at is not None
    assert caught.value.at.line == 2


def test_a_journal_shorter_than_its_checkpoint_knew_is_damaged(path: Path) -> None:
    path.write_bytes(b'{"step": 1}\n')
    with pytest.raises(Problem, match="has 12 bytes, its checkpoint knew 13") as caught:
        Journal(path, 13)
    assert caught.value.code == "journal-damaged"
    assert path.read_bytes() == b'{"step": 1}\n'


@pytest.mark.parametrize("length", [-1, 5, 13])
def test_a_length_that_cannot_be_is_refused_and_nothing_cut(path: Path, length: int) -> None:
    path.write_bytes(b'{"step": 1}\n')
    for _ in range(3):
        with pytest.raises(Problem) as caught:
            Journal(path, length)
        assert (caught.value.code, caught.value.exit_code) == ("journal-damaged", 5)
    assert path.read_bytes() == b'{"step": 1}\n'


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_journal_that_is_refused_is_closed(path: Path) -> None:
    path.write_bytes(b'{"step": 1}\n')
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(Problem):
            Journal(path, 99)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_name_that_is_no_text_is_still_json(path: Path) -> None:
    """A file name of other bytes than UTF-8 reaches Python as lone surrogates, which UTF-8 cannot hold."""
    journal = Journal(path)
    journal.write({"file": os.fsdecode(b"caf\xe9"), "other": "é\u2028"})
    journal.close()
    assert path.read_bytes().count(b"\n") == 1
    assert list(read(path)) == [{"file": "caf\udce9", "other": "é\u2028"}]


def test_no_journal_and_a_linked_one(path: Path, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot read the journal") as caught:
        list(read(path))
    assert caught.value.code == "journal-damaged"
    (tmp_path / "other").write_bytes(b"precious")
    path.symlink_to(tmp_path / "other")
    with pytest.raises(Problem) as refused:
        Journal(path)
    assert refused.value.exit_code == 6
    assert (tmp_path / "other").read_bytes() == b"precious"


@pytest.mark.fault("F24")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("part", [0, 5], ids=["nothing", "half a line"])
def test_a_full_disk_leaves_a_gap_that_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, part: int
) -> None:
    told: list[Problem] = []
    journal, write = Journal(path, warn=told.append), os.write
    journal.write({"step": 1})

    def full(descriptor: int, data: Any) -> int:
        if part and len(data) > part:
            return write(descriptor, data[:part])
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for step in (2, 3, 4):
            journal.write({"step": step})
    journal.write({"step": 5})
    journal.write({"step": 6})
    journal.close()
    assert list(read(path)) == [{"step": 1}, {"step": 5, "missing_lines_before": 3}, {"step": 6}]
    assert [(problem.code, problem.severity) for problem in told] == [("journal-gap", "warning")]
    assert errno.errorcode[errno.ENOSPC if part else number] in told[0].what


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("open", errno.EACCES, "permission-denied"),
        ("open", errno.EMFILE, "too-many-files"),
        ("ftruncate", errno.EIO, "input-output"),
    ],
)
def test_a_journal_that_cannot_be_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    def fail(*args: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(Problem) as caught:
        Journal(path)
    assert (caught.value.code, caught.value.exit_code) == (code, 6)


def test_an_offset_that_is_not_on_the_disk_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal = Journal(path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Problem, match="EIO") as caught:
        journal.offset()
    assert caught.value.code == "input-output"
    journal.close()
