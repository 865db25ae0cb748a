"""Every bad input of the corpus is refused with the right code, exit status, place and words, and leaves no trace.

`corpus/expect.toml` says what must come of each of the 218, and of some more; `recipes.py` makes what cannot be stored
as a file.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import select
import shlex
import signal
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gradtrain.cli import run

sys.path.append(str(Path(__file__).parent))
recipes = importlib.import_module("recipes")
sys.path.remove(str(Path(__file__).parent))

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.xdist_group("corpus"),
]

CASES: dict[str, dict[str, Any]] = tomllib.loads((recipes.CORPUS / "expect.toml").read_text("utf-8"))
RANGES = {"C": 130, "D": 52, "K": 16, "U": 20, "A": 32}
"""First letter → how many cases: configs, data, checkpoints, command lines; and further ones that taught something."""
GUARD = 60
"""Seconds after which a case hangs; the slowest takes one."""
JSON = ("train", "resume", "validate", "evaluate", "predict")
"""Commands that say their problems as JSON when asked."""
HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Found:
    """One problem as a command line states it."""

    severity: str
    code: str
    line: int | None
    column: int | None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that every case is run in; none may change it."""
    folder = tmp_path_factory.mktemp("corpus")
    recipes.lay_out(folder)
    return folder


def in_child(lines: Sequence[Sequence[str]], place: Path, before: Callable[[], None] = lambda: None) -> list[Said]:
    """Command lines, one after the other, in a child of this process, which has everything imported."""
    streams = [(os.memfd_create("out"), os.memfd_create("err")) for _ in lines]
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(lines, place, before, streams, writer)
    os.close(writer)
    watch = os.pidfd_open(pid)
    if not select.select([watch], [], [], GUARD)[0]:
        os.kill(pid, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open(reader, "rb") as statuses:
        status = list(statuses.read())
    os.close(watch)
    texts = [tuple(written(stream) for stream in pair) for pair in streams]
    assert (ended, len(status)) == (0, len(lines)), texts
    return [Said(number, *pair) for number, pair in zip(status, texts, strict=True)]


def child(
    lines: Sequence[Sequence[str]],
    place: Path,
    before: Callable[[], None],
    streams: Sequence[Sequence[int]],
    writer: int,
) -> NoReturn:
    try:
        os.chdir(place)
        for argv, pair in zip(lines, streams, strict=True):
            for number, descriptor in enumerate(pair, 1):
                os.dup2(descriptor, number)
            if pair is streams[0]:
                before()
            sys.stdout, sys.stderr = (
                io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", write_through=True)
                for number in (1, 2)
            )
            os.write(writer, bytes([run(argv)]))
        os._exit(0)
    finally:
        os._exit(99)


def written(stream: int) -> str:
    with open(stream, "rb") as file:
        file.seek(0)
        return file.read().decode()  # strict: a lone surrogate would not get through


def listing(place: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder → its size and when it was written."""
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names]
    return {path: (status.st_size, status.st_mtime_ns) for path in paths if (status := os.lstat(path))}


def told(err: str) -> list[Found]:
    """The problems of a text on stderr."""
    pattern = r"^(error|warning)\[([a-z-]+)\]: .*(?:\n *--> (.*))?"
    found = []
    for severity, code, at in re.findall(pattern, err, re.M):
        line = re.search(r":(\d+)(?::(\d+))?$", at)
        found.append(Found(severity, code, *(int(n) if n else None for n in (line.groups() if line else (None, None)))))
    return found


def told_as_json(err: str) -> list[Found]:
    """The problems of a text on stderr that holds one JSON object a line."""
    objects = [json.loads(line) for line in err.splitlines() if line.startswith('{"')]
    return [Found(o["severity"], o["code"], o["line"], o["column"]) for o in objects if "severity" in o]


@pytest.mark.fault("F55", "F58")
@pytest.mark.parametrize("case", CASES)
def test_a_bad_input_is_refused_as_it_should(case: str, place: Path) -> None:
    wanted = CASES[case]
    argv = recipes.ARGUMENTS.get(case) or shlex.split(wanted["run"])
    twice = bool(argv) and argv[0] in JSON and not wanted.get("writes")
    before, prepare = listing(place), recipes.BEFORE.get(case, lambda: None)
    said, *again = in_child([argv, [argv[0], "--json", *argv[1:]]] if twice else [argv], place, prepare)
    assert said.status == wanted["exit"], said.err
    found = told(said.err)
    if "code" in wanted:
        severity = wanted.get("severity", "error")
        expected = Found(severity, wanted["code"], wanted.get("line"), wanted.get("column"))
        matching = [problem for problem in found if problem.severity == severity]
        if wanted.get("anywhere"):  # the column is libyaml's, which differs from version to version
            matching = [Found(severity, matching[0].code, wanted["line"], None)]
        assert matching[:1] == [expected], said.err
        assert len(matching) == min(wanted.get("count", 1), 20), said.err
        assert matching == sorted(matching, key=lambda problem: (problem.line or 0, problem.column or 0))
    else:
        assert found == [], said.err
    for words in wanted.get("says", ()):
        assert words in said.err + (said.out if wanted["exit"] == 0 else "")
    for text in (said.out, said.err):
        assert not HIDDEN.search(text)
        assert "Traceback" not in text
    assert bool(said.out) == wanted.get("stdout", False)
    if not wanted.get("writes"):
        assert listing(place) == before
    for other in again:
        assert other.status == said.status
        assert told_as_json(other.err + other.out)[: len(found)] == found
        assert not HIDDEN.search(other.out + other.err)


def test_the_corpus_is_whole() -> None:
    names = [f"{letter}{number:0{len(str(many))}}" for letter, many in RANGES.items() for number in range(1, many + 1)]
    assert list(CASES) == names
    assert len(names) == 218 + RANGES["A"]


def test_nearly_every_refusal_names_line_and_column() -> None:
    """Where a place exists: in a text. Whole files, binary ones, folders and options of the command line have none."""
    texts = {case: wanted for case, wanted in CASES.items() if "code" in wanted and not wanted.get("placeless")}
    without = [case for case, wanted in texts.items() if not ("line" in wanted and "column" in wanted)]
    assert len(without) <= len(texts) * 0.05, without


def test_no_case_is_excused_without_a_reason() -> None:
    assert [case for case, wanted in CASES.items() if not wanted.get("about")] == []
    placeless = {wanted["placeless"] for wanted in CASES.values() if "placeless" in wanted}
    assert placeless <= {"a whole file", "a folder", "no text", "an option", "the machine", "the split"}
