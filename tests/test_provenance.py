"""What is different when a run goes on: every edit, file and machine, each with the consequence that it must have."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gradtrain.components.datasets import Examples, Facts
from gradtrain.config.load import read
from gradtrain.config.scalars import dump
from gradtrain.problems import Problem, flatten
from gradtrain.provenance import numbered
from gradtrain.report.compare import differences
from gradtrain.report.display import Lines
from gradtrain.start import go_on, measured, start
from gradtrain.storage import checkpoint

CONFIG = """\
name: small
seed: 5
device: cpu
data:
  source: {csv: {path: t.csv, target: kind}}
  split: {val: 0.25, test: 0.25}
  transforms: [standardize]
  batch_size: 16
model:
  layers: [{linear: 8}, relu, {dropout: 0.1}, {linear: $data.classes}]
loss: cross_entropy
regularization: [{l2: 1e-3}]
optimizer: {sgd: {lr: 0.1, momentum: 0.9}}
schedule: {cosine: {min_lr: 0.01}, by: step}
training: {epochs: 4, clip_norm: 1.0}
evaluation: {metrics: [accuracy]}
early_stopping: {patience: 50}
checkpoint: {every: 4 steps, best: val.loss, keep: 10}
logging: {every: 1 step}
"""
STEP = 8
"""Where the runs of these tests were stopped; they end at 16."""
OURS = ("config-changed", "environment-changed", "checkpoint-skipped")
"""What these tests are about; data and machine have warnings of their own."""
KINDS = ("ape", "bee", "cat")


def table(count: int = 120) -> str:
    lines = [f"{i % 7 + i / 1000:.3f},{(i * i) % 11},{i % 3},{KINDS[i % 3]}" for i in range(count)]
    return "\n".join(["a,b,c,kind", *lines]) + "\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, its data, and the run that nobody disturbed."""
    place = tmp_path_factory.mktemp("finished")
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "c.yaml").write_text(CONFIG)
        (place / "t.csv").write_text(table())
        start(place / "c.yaml", folder=place / "run", shown=Lines(io.StringIO()))
    return place


@pytest.fixture
def stopped(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeded: torch.Generator) -> Path:
    """The same run in a place of its own, as it was when step 8 was saved."""
    place = tmp_path / "place"
    shutil.copytree(finished, place)
    for path in (place / "run" / "checkpoints").iterdir():
        if int(path.name.removeprefix("step-")) > STEP:
            shutil.rmtree(path)
    (place / "run" / "status.json").unlink()
    record = place / "run" / "environment.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "directory": str(place)}))
    monkeypatch.chdir(place)
    return place / "run"


def gone_on(folder: Path, **how: Any) -> tuple[list[Problem], bool]:
    """(what was said, whether it was refused) when the run goes on."""
    said: list[Problem] = []
    shown = Lines(io.StringIO())
    shown.warn = said.append  # type: ignore[method-assign]
    try:
        assert go_on(folder, shown=shown, **how).state == "finished"
    except (Problem, ExceptionGroup) as error:
        return list(flatten(error)), True
    return [problem for problem in said if problem.code in OURS], False


def edit(folder: Path, *pairs: tuple[str, str]) -> None:
    """Change the text of the run's config."""
    path = folder / "config.yaml"
    text = path.read_text()
    for old, new in pairs:
        assert old in text, f"{old} is not in\n{text}"
        text = text.replace(old, new)
    path.write_text(text)


def unchanged(folder: Path, finished: Path) -> bool:
    """Whether it ended as the run that nobody disturbed, bit for bit."""
    one, two = (checkpoint.newest(path / "checkpoints") for path in (folder, finished / "run"))
    same = all(torch.equal(one.tensors[name], tensor) for name, tensor in two.tensors.items())
    return same and differences([finished / "run", folder], 0.0) == []


SILENT = {
    "a comment": [("name: small", "# by hand\nname:   small")],
    "another name": [("name: small", "name: other")],
    "another interval of the journal": [("every: 1 step", "every: 2 steps")],
    "a default written out": [("batch_size: 16", "batch_size: 16\n  shuffle: true")],
    "a long form": [("loss: cross_entropy", "loss: [{cross_entropy: {}}]")],
    "a number written otherwise": [("lr: 0.1,", "lr: 1.0e-1,")],
    "samples": [("logging:", "sampling: []\nlogging:")],
}
WARNED = {
    "training.epochs": [("epochs: 4", "epochs: 8")],
    "optimizer.lr": [("lr: 0.1,", "lr: 0.05,")],
    "training.clip_norm": [("clip_norm: 1.0", "clip_norm: 2.0")],
    "schedule.min_lr": [("min_lr: 0.01", "min_lr: 0.02")],
    "checkpoint.every": [("every: 4 steps", "every: 5 steps")],
    "checkpoint.keep": [("keep: 10", "keep: 5")],
    "evaluation.metrics": [("[accuracy]", "[accuracy, f1]")],
    "evaluation.every": [("metrics: [accuracy]", "metrics: [accuracy], every: 2 epochs")],
    "early_stopping.patience": [("patience: 50", "patience: 40")],
    "early_stopping": [("early_stopping:", "#"), ("patience: 50", "# patience: 50")],
    "device": [("device: cpu", "device: auto")],
}
MEANT = {
    "seed": [("seed: 5", "seed: 6")],
    "data.batch_size": [("batch_size: 16", "batch_size: 8")],
    "data.split.val": [("val: 0.25", "val: 0.2")],
    "data.split.stratify": [("val: 0.25", "stratify: true, val: 0.25")],
    "data.shuffle": [("batch_size: 16", "batch_size: 16\n  shuffle: false")],
    "data.transforms": [("[standardize]", "[]")],
    "data.augment": [("batch_size: 16", "batch_size: 16\n  augment: [{noise: 0.1}]")],
    "model.layers.2.p": [("dropout: 0.1", "dropout: 0.2")],
    "model.layers.1": [("relu", "tanh")],
    "loss.0": [("loss: cross_entropy", "loss: focal")],
    "regularization.0.strength": [("l2: 0.001", "l2: 0.002")],
    "optimizer.momentum": [("momentum: 0.9", "momentum: 0.8")],
    "training.ema": [("epochs: 4", "ema: 0.9, epochs: 4")],
    "training.accumulate": [("epochs: 4", "accumulate: 2, epochs: 4")],
    "precision": [("seed: 5", "seed: 5\nprecision: bfloat16")],
}
FIXED = {
    "checkpoint.best": [("best: val.loss", "best: val.accuracy")],
    "early_stopping.watch": [("patience: 50", "patience: 50, watch: val.accuracy")],
}


def texts(edits: list[tuple[str, str]], folder: Path) -> None:
    """Edits are of the config as it is written above; the run's own is the same data, dumped."""
    (folder / "config.yaml").write_text(CONFIG.replace("1e-3", "0.001"))
    edit(folder, *edits)


class TestF18:
    """30 and more edits of the config: each of the class that it must have."""

    @pytest.mark.parametrize("name", SILENT)
    def test_f18_what_changes_no_bit_is_not_spoken_of(self, stopped: Path, finished: Path, name: str) -> None:
        texts(SILENT[name], stopped)
        assert gone_on(stopped, exact=True) == ([], False)
        if name != "another interval of the journal":
            assert unchanged(stopped, finished)

    @pytest.mark.parametrize("key", WARNED)
    def test_f18_what_is_adjusted_under_way_is_a_warning(self, stopped: Path, key: str) -> None:
        texts(WARNED[key], stopped)
        said, refused = gone_on(stopped, exact=True)
        assert refused
        assert [(p.code, p.severity, p.exit_code) for p in said] == [("config-changed", "error", 5)]
        said, refused = gone_on(stopped)
        assert not refused
        assert [(p.code, p.severity) for p in said] == [("config-changed", "warning")]
        assert said[0].what.startswith(f"`{key}` was ")

    @pytest.mark.parametrize("key", MEANT)
    def test_f18_what_makes_another_run_must_be_meant(self, stopped: Path, key: str) -> None:
        texts(MEANT[key], stopped)
        said, refused = gone_on(stopped)
        assert refused
        assert [(p.code, p.severity, p.exit_code) for p in said] == [("config-changed", "error", 5)]
        assert said[0].what.startswith(f"`{key}` was ")
        assert f"`--allow-change {key}`" in said[0].help
        said, refused = gone_on(stopped, allowed=["nothing.of.the.kind"])
        assert refused
        said, refused = gone_on(stopped, allowed=[key.split(".")[0]])
        assert [p.code for p in said] == ["checkpoint-model" if refused else "config-changed"], said
        assert refused == (key == "training.ema"), "its averages are not in the checkpoint"

    @pytest.mark.parametrize("key", FIXED)
    def test_f18_the_measure_of_the_best_cannot_change(self, stopped: Path, key: str) -> None:
        texts(FIXED[key], stopped)
        said, refused = gone_on(stopped, allowed=[key])
        assert refused
        assert [(p.code, p.exit_code) for p in said] == [("config-changed", 5)]

    def test_f18_every_edit_is_named_where_it_stands(self, stopped: Path) -> None:
        texts([("seed: 5", "seed: 6"), ("batch_size: 16", "batch_size: 8"), ("lr: 0.1,", "lr: 0.2,")], stopped)
        said, refused = gone_on(stopped)
        lines = (stopped / "config.yaml").read_text().splitlines()
        places = {lines[p.at.line - 1][p.at.column - 1 :].partition(":")[0] for p in said if p.at is not None}
        assert refused
        assert places == {"seed", "batch_size"}

    def test_f18_what_was_allowed_once_is_not_asked_for_again(self, stopped: Path) -> None:
        texts([("batch_size: 16", "batch_size: 8")], stopped)
        assert gone_on(stopped, allowed=["data.batch_size"])[1] is False
        record = json.loads((stopped / "environment.json").read_text())
        assert [(e["until"], e["config"]["data"]["batch_size"]) for e in record["earlier"]] == [(STEP, 16)]
        (stopped / "status.json").unlink()
        assert gone_on(stopped) == ([], False)

    def test_f18_a_run_cannot_end_before_the_step_that_it_has_reached(self, stopped: Path) -> None:
        texts([("epochs: 4", "epochs: 1")], stopped)
        said, refused = gone_on(stopped)
        assert refused
        assert {p.exit_code for p in said if p.severity == "error"} == {5}
        assert any("would end at step 4" in p.what for p in said)


def test_f19_another_model_is_refused_with_what_does_not_fit(stopped: Path) -> None:
    texts([("{linear: 8}, ", "{linear: 9}, " + "{linear: 9}, " * 6)], stopped)
    said, refused = gone_on(stopped)
    assert refused
    assert [(p.code, p.exit_code) for p in said] == [("config-changed", 5)]
    said, refused = gone_on(stopped, allowed=["model"])
    assert refused
    assert [(p.code, p.exit_code) for p in said] == [("checkpoint-model", 5)]
    assert said[0].why.count("in the checkpoint") == 10
    assert "float32 [8, 3] in the checkpoint" in said[0].why


@pytest.mark.parametrize("key", ["torch", "threads", "processor"])
def test_f22_another_machine_is_a_warning_and_not_exact(stopped: Path, key: str) -> None:
    record = stopped / "environment.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), key: "another"}))
    said, refused = gone_on(stopped, exact=True)
    assert refused
    assert [(p.code, p.exit_code) for p in said] == [("environment-changed", 5)]
    said, refused = gone_on(stopped)
    assert not refused
    assert [(p.code, p.severity) for p in said] == [("environment-changed", "warning")]
    assert f"`{key}` was `another`" in said[0].what


def test_f22_one_thread_more_is_noticed(stopped: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        said, refused = gone_on(stopped)
    finally:
        torch.set_num_threads(threads)
    assert not refused
    assert [p.what for p in said] == [f"`threads` was `{threads}` when the run began and is `{threads + 1}` now"]


def swapped(path: Path) -> None:
    path.write_text(path.read_text().replace("0.000,0,0,ape", "9.000,0,0,ape", 1))


CHANGES: dict[str, Callable[[Path], Any]] = {
    "append": lambda path: path.write_text(table() + "1,2,0,ape\n" * 40),
    "shrink": lambda path: path.write_text(table(90)),
    "swap": swapped,
}


@pytest.mark.parametrize("name", CHANGES)
def test_f59_other_data_is_found(stopped: Path, name: str) -> None:
    path = stopped.parent / "t.csv"
    before = path.stat()
    CHANGES[name](path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    said, refused = gone_on(stopped, exact=True)
    assert refused
    assert [(p.code, p.exit_code) for p in said] == [("environment-changed", 5)]
    assert "`t.csv`" in said[0].what
    said, refused = gone_on(stopped)
    assert [(p.code, p.severity) for p in said] == [("environment-changed", "warning")]


def test_f59_a_file_that_was_only_touched_is_the_same(stopped: Path, finished: Path) -> None:
    os.utime(stopped.parent / "t.csv")
    assert gone_on(stopped, exact=True) == ([], False)
    assert unchanged(stopped, finished)


def test_f60_a_class_that_is_gone_shifts_no_other(stopped: Path) -> None:
    """Without `ape`, `bee` would become class 0 and `cat` class 1."""
    path = stopped.parent / "t.csv"
    path.write_text("\n".join(line for line in table().splitlines() if not line.endswith("ape")) + "\n")
    assert measured(stopped, "val")[0] == "val"
    found = checkpoint.newest(stopped / "checkpoints")
    assert found.facts["labels"] == list(KINDS)
    said, refused = gone_on(stopped)
    assert not refused
    assert [p.code for p in said] == ["environment-changed"]
    assert checkpoint.newest(stopped / "checkpoints").facts["labels"] == list(KINDS)


def test_f60_the_number_of_a_class_is_what_it_was() -> None:
    y = torch.tensor([0, 1, 1])
    examples = Examples({"x": torch.zeros(3, 1), "y": y}, Facts(count=3, classes=2), labels=("bee", "cat"))
    assert numbered(examples, ()) is examples
    found = numbered(examples, ["cat", "ape", "bee"])
    assert found.fields["y"].tolist() == [2, 0, 0]
    assert (found.labels, found.facts.classes) == (("cat", "ape", "bee"), 3)
    with pytest.raises(Problem, match="class `cat`"):
        numbered(examples, ["ape", "bee"])


def test_f60_a_class_that_the_run_does_not_know_is_refused(stopped: Path) -> None:
    path = stopped.parent / "t.csv"
    path.write_text(path.read_text().replace("ape", "dog"))
    for call in (lambda: go_on(stopped, shown=Lines(io.StringIO())), lambda: measured(stopped)):
        with pytest.raises(Problem, match="class `dog` that the run does not know") as caught:
            call()
        assert (caught.value.code, caught.value.exit_code) == ("class-unknown", 3)


def test_a_run_of_a_time_without_a_record_goes_on_in_silence(stopped: Path, finished: Path) -> None:
    record = stopped / "environment.json"
    for damaged in ({"config": {"seed": "a hash"}}, {}, {"config": 1, "data": 2}):
        record.write_text(json.dumps({"directory": str(stopped.parent), **damaged}))
        texts([("lr: 0.1,", "lr: 0.05,")], stopped)
        shutil.copytree(stopped, copy := stopped.parent / "copy")
        assert gone_on(copy) == ([], False)
        shutil.rmtree(copy)


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_config_that_was_saved_says_the_same(path: Path, tmp_path: Path) -> None:
    one = read(path)
    (tmp_path / "config.yaml").write_text(dump(one.resolved()))
    assert read(tmp_path / "config.yaml").resolved() == one.resolved()
