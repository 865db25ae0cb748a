"""A run that viewers are told of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gradtrain.components.loggers import Header, Logger


@pytest.fixture
def header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Header]:
    """The run `runs/digits/001`, `start` steps old; commands are started in the folder that holds `runs`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "digits" / "001"
    folder.mkdir(parents=True)

    def made(start: int = 0) -> Header:
        return Header("digits", folder, {"optimizer.adam.lr": 1e-3, "loss": "cross_entropy"}, start)

    return made


@pytest.fixture
def twice(header: Callable[..., Header]) -> Callable[[Logger], Path]:
    """A run whose first process passed on steps 10 to 40 and died; its checkpoint knew 20. The second goes to 50."""

    def lived(logger: Logger) -> Path:
        first = logger.open(header())
        for step in (10, 20, 30, 40):
            first.numbers(step, {"train/loss": 1 / step, "val/accuracy": 0.5})
            first.text(step, "finding/vanishing/0.linear", "began: the gradient falls")
            first.flush()
        first.close("failed")
        second = logger.open(header(20))
        for step in (30, 40, 50):
            second.numbers(step, {"train/loss": 1 / step, "val/accuracy": 0.5})
        second.close("finished")
        return header().folder

    return lived
