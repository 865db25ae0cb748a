"""What the journal says, in the viewers of other programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gradtrain.components.loggers import Header, Log, Logger
from gradtrain.components.loggers.csv import Csv
from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.report.logs import Logs, said
from gradtrain.start import go_on, start
from gradtrain.storage.journal import read
from gradtrain.training.stop import Stop

CONFIG = """\
name: told
data: {source: digits, split: {val: 0.2}, transforms: [flatten, standardize], batch_size: 256}
model: {layers: [{linear: 8}, tanh, {linear: $data.classes}]}
loss: cross_entropy
regularization: [{l2: 1e-4}]
optimizer: {sgd: 0.5}
training: {epochs: 4}
logging: {every: 2 steps, to: [csv]}
"""


FINDING = {
    "kind": "finding", "step": 2, "event": "began", "name": "vanishing", "network": "model", "layer": "0.linear",
    "evidence": "it falls", "cause": "depth", "remedy": "normalization: layer_norm",
}  # fmt: skip


def silent() -> Lines:
    return Lines(io.StringIO())


def rows(folder: Path) -> dict[tuple[int, str], float]:
    with (folder / "metrics.csv").open(newline="") as file:
        _, *found = csv.reader(file)
    known = {(int(step), name): float(value) for step, name, value in found}
    assert len(known) == len(found)
    return known


def expected(folder: Path) -> dict[tuple[int, str], float]:
    """The same from the journal."""
    found = {}
    for line in read(folder / "journal.jsonl"):
        step, values, _ = said(line)
        found |= {(step, name): value for name, value in values.items()}
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    return path


def test_all_numbers_of_the_journal_are_passed_on(config: Path, tmp_path: Path) -> None:
    start(config, folder=tmp_path / "run", shown=silent())
    known = rows(tmp_path / "run")
    assert known == expected(tmp_path / "run")
    names = {name for _, name in known}
    assert names >= {"train/loss", "train/cross_entropy", "penalty/l2", "lr", "grad_norm", "val/loss"}
    assert any(name.startswith("health/update_ratio/") for name in names)


def test_a_resumed_run_passes_on_the_same_as_the_whole_one(config: Path, tmp_path: Path) -> None:
    class Waits(Lines):
        def evaluated(self, number: int, split: str, values: Any) -> None:
            if number >= 12:
                raise RuntimeError("the machine is lost")

    start(config, folder=tmp_path / "whole", shown=silent())
    with pytest.raises(RuntimeError, match="lost"):
        start(config, folder=tmp_path / "run", shown=Waits(io.StringIO()))
    assert max(step for step, _ in rows(tmp_path / "run")) == 12
    go_on(tmp_path / "run", shown=silent())
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")


def test_the_run_is_the_same_with_and_without(config: Path, tmp_path: Path) -> None:
    for name, asked in (("with", ["logging.to=[csv]"]), ("without", ["logging.to=[]"])):
        start(config, overrides=asked, folder=tmp_path / name, shown=silent())
    one, other = (
        [{k: v for k, v in line.items() if k != "seconds"} for line in read(tmp_path / name / "journal.jsonl")]
        for name in ("with", "without")
    )
    assert one == other
    assert not (tmp_path / "without" / "metrics.csv").exists()


class Fails(Log):
    def __init__(self, at: str) -> None:
        self.at, self.heard = at, []

    def _told(self, what: str) -> None:
        self.heard.append(what)
        if what == self.at:
            raise OSError("the disk is\nfull")

    def numbers(self, step: int, values: Any) -> None:
        self._told("numbers")

    def text(self, step: int, name: str, text: str) -> None:
        self._told("text")

    def flush(self) -> None:
        self._told("flush")

    def close(self, state: str) -> None:
        self._told("close")


@pytest.mark.parametrize("at", ["open", "numbers", "text", "flush", "close"])
def test_a_logger_that_fails_is_told_of_once_and_the_others_go_on(at: str, tmp_path: Path) -> None:
    fails = Fails(at)

    class Failing(Logger):
        registered_as: ClassVar[str] = "failing"

        def open(self, header: Header) -> Log:
            if at == "open":
                raise OSError("the disk is\nfull")
            return fails

    (tmp_path / "config.yaml").write_text(CONFIG)
    told: list[Problem] = []
    logs = Logs([Failing(), Csv()], "told", tmp_path, told.append)
    logs.begin(0)
    line = {"kind": "evaluation", "step": 2, "split": "val", "metrics": {"loss": 0.5}}
    for step in (2, 4):
        logs.write({**line, "step": step})
        logs.write(FINDING)
        logs.flush()
    logs.close("finished")
    (problem,) = told
    assert (problem.code, problem.severity) == ("logger-failed", "warning")
    assert problem.what == "the logger `failing` failed: OSError: the disk is"
    assert fails.heard.count(at) <= 1
    assert rows(tmp_path) == {(2, "val/loss"): 0.5, (4, "val/loss"): 0.5}


def test_a_finding_is_a_text() -> None:
    name, text = "finding/vanishing/0.linear", "began: it falls; depth; normalization: layer_norm"
    assert said(FINDING) == (2, {}, {name: text})


def test_a_matrix_is_no_number_and_nan_is_one() -> None:
    metrics = {"confusion": [[1, 2], [3, 4]], "loss": float("nan"), "accuracy": 0.5}
    step, values, texts = said({"kind": "evaluation", "step": 4, "split": "test", "metrics": metrics})
    assert (step, texts) == (4, {})
    assert json.dumps(values) == '{"test/loss": NaN, "test/accuracy": 0.5}'


def test_a_missing_package_is_said_before_the_first_step(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else found(name))
    with pytest.raises(Problem) as caught:
        start(config, overrides=["logging.to=[tensorboard]"], folder=tmp_path / "run", shown=silent(), stop=Stop())
    assert caught.value.code == "extra-missing"
    assert "gradtrain[tensorboard]" in caught.value.help
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_nobody(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    start(config, overrides=["logging.to=[csv, mlflow]"], dry_run=True, shown=silent())
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]
