"""What a run shows, to a reader that is no longer there."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import IO, Any, cast

import pytest
from rich.console import Console
from rich.text import Text

from gradtrain.problems import Problem
from gradtrain.report.display import Display, Events, Lasting, Lines, Live, Plan

PLAN = Plan("digits", "runs/digits/001", 0, 100, 10, 64, Text("the model"), "the facts")


class Leaving(io.StringIO):
    """A stream whose reader leaves after some writes."""

    def __init__(self, left: int, number: int) -> None:
        super().__init__()
        self.left, self.number = left, number

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


def on_a_terminal(stream: Any) -> Live:
    return Live(Console(file=cast(IO[str], Lasting(stream)), force_terminal=True, width=80))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("left", [0, 1, 4, 9])
@pytest.mark.parametrize("make", [Lines, Events, on_a_terminal])
def test_a_reader_that_leaves_stops_no_run(make: Callable[[Any], Display], left: int, number: int) -> None:
    stream = Leaving(left, number)
    shown = make(stream)
    shown.begin(PLAN)
    shown.warn(Problem("run-killed", "something is doubtful", severity="warning"))
    for step in range(1, 9):
        shown.step(step, 1.0, 0.1, 2.0, {})
        shown.evaluated(step, "val", {"loss": 1.0})
    shown.health([], 0.013)
    shown.end("finished", "done", {"val": {"loss": 1.0}}, 1.0, 8)
    assert stream.left < 0
    assert stream.getvalue().count("\n") <= 12


@pytest.mark.parametrize("make", [Lines, on_a_terminal])
def test_a_reader_that_stays_reads_everything(make: Callable[[Any], Display]) -> None:
    stream = Leaving(1000, errno.EPIPE)
    shown = make(stream)
    shown.begin(PLAN)
    shown.evaluated(1, "val", {"loss": 1.0})
    shown.health([], 0.013)
    shown.end("finished", "done", {}, 1.0, 8)
    for words in ("the model", "the facts", "loss 1", "finished: done, 8 steps in 1s (diagnostics 1.3 %)"):
        assert words in stream.getvalue()
