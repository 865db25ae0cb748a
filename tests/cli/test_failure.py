"""What is said, and with which status the process ends, when something goes wrong."""

from __future__ import annotations

import errno
import io
import json

import pytest
import typer

from gradtrain.cli.failure import colour, report
from gradtrain.problems import Place, Problem, several


def problem(line: int = 1, code: str = "unknown-command", severity: str = "error") -> Problem:
    return Problem(code, f"number {line}", Place("a.yaml", line, 1), severity=severity)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (typer.Exit(3), 3),
        (SystemExit(None), 0),
        (SystemExit(5), 5),
        (KeyboardInterrupt(), 130),
        (typer.Abort(), 130),
        (problem(), 2),
        (problem(code="disk-full"), 6),
        (several([problem(2, "disk-full"), problem(1)], "a.yaml"), 2),
        (several([problem(1, severity="warning"), problem(2, "disk-full")], "a.yaml"), 6),
        (ExceptionGroup("", [problem(), ValueError("x")]), 1),
        (ValueError("x"), 1),
        (MemoryError(), 6),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), 6),
        (OSError(errno.ENOSPC, "full", "/x"), 6),
        (PermissionError(errno.EACCES, "no", "/x"), 6),
        (OSError(errno.EROFS, "no", "/x"), 6),
        (OSError(errno.EMFILE, "no"), 6),
        (OSError(errno.EIO, "no"), 6),
        (FileNotFoundError(errno.ENOENT, "no", "/x"), 1),
        (Problem("a-code-without-a-page", "x"), 1),
    ],
    ids=repr,
)
def test_status(error: BaseException, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(error) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("error[") or status in (0, 3, 5, 130) or "warning[" in err


def test_several_problems_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    report(several([problem(2), problem(1), problem(3)], "a.yaml"))
    err = capsys.readouterr().err
    assert [err.index(f"number {n}") for n in (1, 2, 3)] == sorted(err.index(f"number {n}") for n in (1, 2, 3))
    assert err.endswith("found 3 problems in a.yaml\n")


def test_one_problem_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    report(several([problem()], "a.yaml"))
    assert "found" not in capsys.readouterr().err


def test_at_most_twenty_of_a_file_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    report(several([problem(n) for n in range(1, 31)], "a.yaml"))
    err = capsys.readouterr().err
    assert err.count("error[") == 20
    assert err.endswith("\n10 more\nfound 30 problems in a.yaml\n")


def test_files_are_counted_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    both = ExceptionGroup(
        "found 4 problems in 2 files",
        [several([problem(1), problem(2)], name) for name in ("a.yaml", "b.yaml")],
    )
    assert report(both) == 2
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("found")] == [
        "found 2 problems in a.yaml",
        "found 2 problems in b.yaml",
        "found 4 problems in 2 files",
    ]


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    report(several([problem(n) for n in range(1, 31)], "a.yaml"), as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["line"] for line in lines] == list(range(1, 31))


def test_a_bug_says_how_to_report_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ZeroDivisionError("by \x1b[31mzero")) == 1
    err = capsys.readouterr().err
    assert err.startswith("error[bug]: a bug in gradtrain: ZeroDivisionError: by \\x1b[31mzero\n")
    assert "gradtrain --debug" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADTRAIN_DEBUG", "1")
    assert report(problem()) == 2
    assert "Traceback" not in capsys.readouterr().out
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    assert report(caught.value) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert "error[bug]" in err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_needs_a_terminal_that_wants_it(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert colour(Terminal()) is coloured
    assert colour(io.StringIO()) is False
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    report(problem())
    assert ("\x1b[" in stream.getvalue()) is coloured
