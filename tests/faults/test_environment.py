"""Runs as processes in poor surroundings: terminals, pipes, locales, clocks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .rig import CONFIGS, assert_same_end, ended, journal_of, living

SHORT = (
    CONFIGS["early-stopping"].replace("epochs: 500", "epochs: 2").replace("name: stopping", "name: stopping  # größe")
)


def shell(line: str, place: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of bash, in which "$@" is the command that trains."""
    config = place / "config.yaml"
    if not config.exists():
        config.write_text(SHORT, "utf-8")
    command = [sys.executable, "-m", "gradtrain", "train", str(config), "--run", str(place / "run")]
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}", "bash", *command],
        cwd=place, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, capture_output=True, check=False,
        timeout=300,
    )  # fmt: skip


def assert_complete(folder: Path) -> None:
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["exit_code"]) == ("finished", 0)
    assert journal_of(folder)[-1]["split"] == "test"


def cases(quick: list[object], thorough: list[object]) -> list[object]:
    """Every case is a process that imports torch: the quick ones are few."""
    return [*quick, *(pytest.param(case, marks=pytest.mark.slow) for case in thorough)]


@pytest.mark.fault("F53")
@pytest.mark.parametrize("line", cases(
    ['"$@" --json | head -n 1', '"$@" 2>&1 | head -n 1', '"$@" --json >/dev/full', '"$@" >&- 2>&-'],
    ['"$@" --json >&-', '"$@" 2>/dev/full', '"$@" --json | (exec <&-; true)'],
))  # fmt: skip
def test_a_reader_that_leaves_does_not_stop_a_run(line: str, tmp_path: Path) -> None:
    done = shell(line, tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert_complete(tmp_path / "run")


@pytest.mark.fault("F54")
@pytest.mark.parametrize("environment", cases(
    [
        {"HOME": "", "LC_ALL": "C", "TERM": "dumb", "COLUMNS": "20"},
        {"HOME": "/nonexistent", "PYTHONIOENCODING": "ascii", "NO_COLOR": "1", "COLUMNS": "1", "TZ": "Nowhere/Land"},
    ],
    [
        {"HOME": ""}, {"HOME": "/nonexistent"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"TERM": "dumb"}, {"TERM": ""},
        {"NO_COLOR": "1"}, {"COLUMNS": "20"}, {"COLUMNS": "1"}, {"TZ": "Nowhere/Land"},
    ],
), ids=str)  # fmt: skip
def test_poor_surroundings_change_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    done = shell('"$@"', tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert_complete(tmp_path / "run")


@pytest.mark.fault("F54")
def test_no_home_and_a_working_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir(mode=0o555)
    line = 'unset HOME; cd bare && "$@"'
    if os.geteuid() == 0 and shutil.which("setpriv"):  # for root every folder can be written
        line = 'unset HOME; chmod 777 .; cd bare && setpriv --bounding-set -dac_override --inh-caps -dac_override "$@"'
    done = shell(line, tmp_path)
    assert done.returncode == 0, done.stderr
    assert_complete(tmp_path / "run")
    assert list((tmp_path / "bare").iterdir()) == []


@pytest.mark.fault("F52")
def test_a_clock_that_jumps_changes_no_bit_and_no_duration(tmp_path: Path) -> None:
    """Back to 1970, on to 2106, and to and fro between two looks at it."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIGS["early-stopping"].replace("epochs: 500", "epochs: 3"))

    def jump() -> None:
        looks = iter(range(10**9))

        def wrong(*arguments: object) -> float:
            return (0.0, 4294967295.0, 1e9, 2e9 - next(looks))[next(looks) % 4]

        gmtime = time.gmtime
        time.time = wrong
        time.gmtime = lambda seconds=None: gmtime(wrong() if seconds is None else seconds)

    assert ended(living(config, tmp_path / "a")) == 0
    assert ended(living(config, tmp_path / "b", prepare=jump)) == 0
    assert_same_end(tmp_path / "b", tmp_path / "a")
    lines = [json.loads(line) for line in (tmp_path / "b" / "journal.jsonl").read_text().splitlines()]
    seconds = [line["seconds"] for line in lines if "seconds" in line]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] <= seconds[-1] < 300
