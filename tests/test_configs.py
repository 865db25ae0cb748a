"""Every shipped config says how it is run, validates, and trains two steps; the small ones reach what they promise."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gradtrain.config.validate import validated
from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.run import Outcome
from gradtrain.start import start

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


SMALLER = {
    "sine-lstm": ["data.source.sine_waves.count=6", "data.source.sine_waves.length=40", "sampling.length=5"],
    "shakespeare-gpt": ["evaluation.every=2 steps", "sampling.length=5"],
}
"""Overrides that make two steps of a config a matter of a second."""


def trained(name: str, folder: Path, *overrides: str) -> Outcome:
    return start(ROOT / "configs" / f"{name}.yaml", overrides=overrides, folder=folder, shown=Lines(io.StringIO()))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_begins_with_its_command(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == f"# gradtrain train configs/{path.name}"
    assert lines[1].startswith("# ")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_validates_without_a_warning(path: Path) -> None:
    assert [p.what for p in validated(path)] == []


def two_steps(text: str) -> list[str]:
    """Overrides that leave two steps of a run; of a run in two phases, one step of each."""
    if "\nphases:" in text:
        return ["phases.0.steps=1", "phases.1.steps=1"]
    counts_steps = "steps:" in text.partition("training:")[2].split("}")[0]
    return ["training.steps=2"] if counts_steps else ["training.epochs=null", "training.steps=2"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_trains_two_steps(path: Path, tmp_path: Path) -> None:
    text = path.read_text("utf-8")
    overrides = [*two_steps(text), "evaluation.batches=1", *SMALLER.get(path.stem, ())]
    overrides += ["schedule.cosine.warmup=0"] if "warmup:" in text and "cosine:" in text else []
    profile = "cpu" if "\n  cpu:\n" in text else None
    try:
        outcome = start(path, profile=profile, overrides=overrides, folder=tmp_path / "run", shown=Lines(io.StringIO()))
    except Problem as problem:
        if problem.code == "data-missing":
            pytest.skip(f"{problem.what}: {problem.help}")
        raise
    assert (outcome.state, outcome.step) == ("finished", 2)
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "finished"


def test_digits_mlp_reads_digits(tmp_path: Path) -> None:
    outcome = trained("digits-mlp", tmp_path / "run")
    assert outcome.results["test"]["accuracy"] >= 0.96  # one seed; the README states the mean of five


def test_moons_hinge_is_perfect(tmp_path: Path) -> None:
    outcome = trained("moons-hinge", tmp_path / "run")
    last = [
        json.loads(line)
        for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
        if '"kind": "step"' in line
    ][-1]
    assert outcome.results["train"]["accuracy"] == 1.0
    assert last["loss"]["total"] == pytest.approx(0.011, abs=0.002)


def test_gradient_descent_finds_the_law(tmp_path: Path) -> None:
    outcome = trained("gradient-descent", tmp_path / "run")
    assert outcome.results["train"]["loss"] == pytest.approx(0.01, rel=0.1)


def test_csv_regression_explains_the_pendulum(tmp_path: Path) -> None:
    assert trained("csv-regression", tmp_path / "run").results["test"]["r2"] >= 0.99


def test_gradients_vanish_in_the_sigmoid_stack_and_not_in_the_other(tmp_path: Path) -> None:
    def first_layer(name: str) -> float:
        trained(name, tmp_path / name, "training.epochs=1")
        lines = [json.loads(text) for text in (tmp_path / name / "journal.jsonl").read_text().splitlines()]
        norms = next(line["grad_norms"] for line in lines if line["kind"] == "step")
        return norms["0.0.0.weight"] / norms["1.weight"]

    assert first_layer("deep-sigmoid") < 1e-8
    assert first_layer("deep-relu-norm") > 1e-1


def test_the_first_lesson_walks_to_the_bottom(tmp_path: Path) -> None:
    result = trained("first-lesson", tmp_path / "run").results["train"]
    assert result["formula"] < 1e-9
    assert result["x"] == pytest.approx(3.0, abs=1e-4)
