"""A run from its config to its folder: journal, status, checkpoints, stopping, refusing."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
import torch

from gradtrain.problems import Problem
from gradtrain.report.compare import differences
from gradtrain.report.display import Lines
from gradtrain.run import Outcome
from gradtrain.start import go_on, measured, start
from gradtrain.storage import checkpoint

CONFIG = """\
name: small
seed: 5
data:
  source: {blobs: {count: 120, noise: 1.5}}
  split: {val: 0.25, test: 0.25}
  transforms: [standardize]
  batch_size: 16
model:
  layers: [{linear: 8}, relu, {dropout: 0.1}, {linear: $data.classes}]
loss: cross_entropy
regularization: [{l2: 1e-3}]
optimizer: {sgd: {lr: 0.1, momentum: 0.9}}
training: {epochs: 6, clip_norm: 1.0}
evaluation: {metrics: [accuracy, confusion]}
checkpoint: {best: val.loss}
logging: {every: 2 steps}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return path


def run(config: Path, name: str, *overrides: str) -> Outcome:
    return start(config, overrides=overrides, folder=config.parent / name, shown=Lines(io.StringIO()))


def journal(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_the_folder_holds_what_the_drawings_say(config: Path) -> None:
    outcome = run(config, "a")
    folder = config.parent / "a"
    assert {p.name for p in folder.iterdir()} == {
        "config.yaml",
        "environment.json",
        "status.json",
        "journal.jsonl",
        "checkpoints",
        ".lock",
    }
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["step"], status["exit_code"], status["resumable"]) == (
        "finished",
        outcome.step,
        0,
        False,
    )
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["torch"] == torch.__version__
    assert environment["seed"] == 5
    for path in (folder / "checkpoints").iterdir():
        assert {p.name for p in path.iterdir()} == {"state.safetensors", "trainer.json", "manifest.json"}


def test_what_looks_wrong_in_the_data_is_said_before_the_first_step(config: Path) -> None:
    (config.parent / "t.csv").write_text("a,b,y\n" + "".join(f"{i},4,{i % 2}\n" for i in range(40)))
    text = CONFIG.replace(
        "{blobs: {count: 120, noise: 1.5}}", f"{{csv: {{path: {config.parent / 't.csv'}, target: y}}}}"
    )
    config.write_text(text.replace("  batch_size", "  target: {kind: class}\n  batch_size"))
    shown = io.StringIO()
    start(config, folder=config.parent / "a", shown=Lines(shown))
    said = shown.getvalue()
    assert said.count("warning[constant-column]") == 1
    assert said.index("warning[constant-column]") < said.index("step ")


def test_the_journal_has_a_line_every_so_many_steps_and_one_an_evaluation(config: Path) -> None:
    outcome = run(config, "a")
    lines = journal(config.parent / "a")
    steps = [line for line in lines if line["kind"] == "step"]
    assert [line["step"] for line in steps] == [*range(2, outcome.step + 1, 2)]
    assert set(steps[0]) == {"kind", "step", "epoch", "loss", "penalty", "lr", "grad_norm", "seconds"}
    assert set(steps[0]["loss"]) == {"cross_entropy", "total"}
    assert steps[0]["loss"]["total"] == pytest.approx(
        steps[0]["loss"]["cross_entropy"] + steps[0]["penalty"]["l2"], rel=1e-5
    )
    evaluations = [line for line in lines if line["kind"] == "evaluation"]
    assert [line["split"] for line in evaluations] == ["val"] * 6 + ["test"]
    assert sum(map(sum, evaluations[-1]["metrics"]["confusion"])) == 30


def test_the_same_file_and_seed_give_the_same_bits(config: Path) -> None:
    run(config, "a")
    run(config, "b")
    folders = [config.parent / "a", config.parent / "b"]
    assert differences(folders, 0.0) == []
    one, two = (checkpoint.newest(folder / "checkpoints") for folder in folders)
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


def test_another_seed_gives_another_journal(config: Path) -> None:
    run(config, "a")
    run(config, "b", "seed=6")
    assert differences([config.parent / "a", config.parent / "b"], 0.0) != []


def test_the_saved_config_trains_the_same_run(config: Path) -> None:
    run(config, "a", "optimizer.lr=0.05")
    start(config.parent / "a" / "config.yaml", folder=config.parent / "b", shown=Lines(io.StringIO()))
    assert differences([config.parent / "a", config.parent / "b"], 0.0) == []


@pytest.mark.parametrize("best", ["checkpoint: {best: val.loss}\n", ""])
def test_an_evaluation_later_measures_what_the_run_reported(config: Path, best: str) -> None:
    config.write_text(CONFIG.replace("checkpoint: {best: val.loss}\n", best))
    outcome = run(config, "a", "training.epochs=12", "optimizer.lr=1.0")  # so that the last weights are not the best
    found = checkpoint.newest(config.parent / "a" / "checkpoints")
    assert found.facts["memory"]["best_step"] != found.step
    for split in ("val", "test"):
        assert measured(config.parent / "a", split) == (split, outcome.results[split])


def test_best_and_newest_checkpoints_are_kept(config: Path) -> None:
    run(config, "a", "checkpoint.keep=2", "training.epochs=12", "optimizer.lr=1.0")
    found = checkpoint.newest(config.parent / "a" / "checkpoints")
    kept = checkpoint.steps(config.parent / "a" / "checkpoints")
    assert found.facts["memory"]["best_step"] in kept
    assert len(kept) <= 3
    values = [
        line["metrics"]["loss"]
        for line in journal(config.parent / "a")
        if line["kind"] == "evaluation" and line["split"] == "val"
    ]
    assert found.facts["memory"]["best"] == min(values)


def test_early_stopping_stops_after_patience(config: Path) -> None:
    config.write_text(CONFIG + "early_stopping: {patience: 2}\n")
    outcome = run(config, "a", "training.epochs=100", "optimizer.lr=0.5")
    values = [
        line["metrics"]["loss"]
        for line in journal(config.parent / "a")
        if line["kind"] == "evaluation" and line["split"] == "val"
    ]
    assert "stopped improving" in outcome.reason
    assert len(values) < 100
    assert min(values[-2:]) >= min(values[:-2])


def test_a_dry_run_leaves_nothing(config: Path) -> None:
    before = sorted(p.name for p in config.parent.iterdir())
    outcome = start(config, dry_run=True, shown=Lines(io.StringIO()))
    assert outcome.step == 1
    assert set(outcome.results) == {"val", "test"}
    assert sorted(p.name for p in config.parent.iterdir()) == before


def test_a_diverging_run_stops_with_4_before_its_weights_are_lost(config: Path) -> None:
    text = (
        CONFIG.replace("cross_entropy", "mse")
        .replace("{blobs: {count: 120, noise: 1.5}}", "{linear: {count: 64}}")
        .replace("accuracy, confusion", "r2")
    )
    config.write_text(text.replace("{linear: $data.classes}", "{linear: 1}").replace(", clip_norm: 1.0", ""))
    with pytest.raises(Problem) as caught:
        run(config, "a", "optimizer.lr=1e6", "checkpoint.every=1 step")
    assert (caught.value.code, caught.value.exit_code) == ("nonfinite", 4)
    status = json.loads((config.parent / "a" / "status.json").read_text())
    assert (status["state"], status["exit_code"]) == ("failed", 4)
    tensors = checkpoint.newest(config.parent / "a" / "checkpoints").tensors
    assert all(bool(t.isfinite().all()) for name, t in tensors.items() if name.startswith("network."))


def test_a_finished_run_is_left_alone(config: Path) -> None:
    run(config, "a")
    stamps = {p: p.stat().st_mtime_ns for p in (config.parent / "a").rglob("*") if p.is_file() and p.name != ".lock"}
    assert go_on(config.parent / "a", shown=Lines(io.StringIO())).reason == "already complete"
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps


def cut(folder: Path, step: int) -> None:
    """Let a finished run be one that was stopped at a step."""
    for path in (folder / "checkpoints").iterdir():
        if int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)
    (folder / "status.json").unlink()


def test_a_folder_that_is_taken_is_refused(config: Path) -> None:
    run(config, "a")
    with pytest.raises(Problem) as caught:
        run(config, "a")
    assert (caught.value.code, caught.value.exit_code) == ("run-exists", 7)


def test_a_selector_that_matches_nothing_is_refused_where_it_stands(config: Path) -> None:
    config.write_text(CONFIG.replace("{l2: 1e-3}", "{l2: 1e-3, params: 'head.*'}"))
    with pytest.raises(Problem) as caught:
        run(config, "a")
    assert caught.value.code == "selector-empty"
    assert caught.value.at is not None
    assert caught.value.at.line == 11
    assert not (config.parent / "a").exists()


@pytest.mark.parametrize(
    "schedule",
    [
        "{step: {every: 2}, by: epoch}",
        "{cosine: {warmup: 3}, by: step}",
        "{plateau: {patience: 0, factor: 0.5}, by: epoch}",
    ],
)
def test_the_journal_shows_the_schedule(config: Path, schedule: str) -> None:
    config.write_text(CONFIG + f"schedule: {schedule}\n")
    run(config, "a", "training.epochs=25")
    rates = [line["lr"] for line in journal(config.parent / "a") if line["kind"] == "step"]
    assert rates[-1] < max(rates)


def test_a_missing_device_is_a_matter_of_resources(config: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(Problem) as caught:
        run(config, "a", "device=cuda")
    assert (caught.value.code, caught.value.exit_code) == ("device-missing", 6)
