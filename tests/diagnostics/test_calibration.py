"""Sick runs are told what ails them, that first; healthy runs are told nothing.

`sick/FINDING/*.yaml` and `healthy/*.yaml` say in their first line what they are; what YAML cannot say is planted here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradtrain.assemble import Parts
from gradtrain.config.load import read
from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.run import execute
from gradtrain.start import prepare, start
from gradtrain.storage.folder import RunFolder
from gradtrain.training.stop import Stop

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs"
SICK = sorted((HERE / "sick").glob("*/*.yaml"))
HEALTHY = sorted((HERE / "healthy").glob("*.yaml"))

SHIPPED: dict[str, list[str]] = {
    "digits-mlp": ["training.epochs=10"],
    "deep-relu-norm": ["training.epochs=5"],
    "first-lesson": [],
    "gradient-descent": [],
    "moons-hinge": [],
    "csv-regression": ["training.epochs=60"],
    "sine-lstm": ["training.steps=2"],
    "heat-pinn": ["phases.0.steps=150", "phases.1.steps=3"],
    "sort-gpt": ["training.steps=120", "evaluation.every=60 steps"],
    "reverse-seq2seq": ["training.steps=300", "evaluation.every=100 steps"],
    "shakespeare-gpt": ["training.steps=300", "evaluation.every=150 steps", "evaluation.batches=4"],
    "names-transformer": ["training.steps=300", "evaluation.every=150 steps", "evaluation.batches=4"],
    "cora-gcn": ["training.epochs=100"],
    "cora-gat": ["training.epochs=100"],
    "mnist-cnn": ["training.epochs=1"],
    "fashion-cnn": ["training.epochs=1"],
    "fashion-vae": ["training.epochs=1"],
    "fashion-dcgan": ["training.epochs=1"],
    "wgan-gp": ["training.epochs=1"],
}
"""Shipped config → how it is shortened; longer than its warm-up."""

DATA = {
    "names-transformer": ("data.source.lines.path", "names.txt"),
    "cora-gcn": ("data.source.graph.path", "cora.npz"),
    "cora-gat": ("data.source.graph.path", "cora.npz"),
    "mnist-cnn": ("data.source.npz.path", "mnist10k.npz"),
}
"""Shipped config → where it names its data, and the file."""

Found = list[dict[str, Any]]


def began(folder: Path) -> Found:
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "finding" and line["event"] == "began"]


def findings(path: Path, folder: Path, *overrides: str, profile: str | None = None) -> Found:
    """What is found in a run; one whose loss is no longer a number ends early."""
    try:
        start(path, profile=profile, overrides=overrides, folder=folder, shown=Lines(io.StringIO()))
    except Problem as problem:
        if problem.code != "nonfinite":
            raise
    return began(folder)


@pytest.mark.parametrize("path", SICK, ids=[f"{path.parent.name}-{path.stem}" for path in SICK])
def test_a_sick_run_is_told_what_ails_it_first(path: Path, tmp_path: Path) -> None:
    found = findings(path, tmp_path / "run")
    assert [line["name"] for line in found[:1]] == [path.parent.name], found
    assert found[0]["evidence"]
    assert found[0]["cause"]
    assert found[0]["remedy"]


@pytest.mark.parametrize("path", HEALTHY, ids=[path.stem for path in HEALTHY])
def test_a_healthy_run_is_told_nothing(path: Path, tmp_path: Path) -> None:
    assert findings(path, tmp_path / "run") == []


def test_no_shipped_config_is_forgotten() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {*SHIPPED, "deep-sigmoid"}


def test_the_shipped_config_that_is_meant_to_be_sick_is(tmp_path: Path) -> None:
    found = findings(CONFIGS / "deep-sigmoid.yaml", tmp_path / "run", "training.epochs=2")
    assert [line["name"] for line in found] == ["vanishing"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_configs_are_healthy(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    profile = "cpu" if name == "shakespeare-gpt" else None
    key, file = DATA.get(name, ("", ""))
    data = [f"{key}={real_data(file)}"] if key else []
    try:
        found = findings(CONFIGS / f"{name}.yaml", tmp_path / "run", *SHIPPED[name], *data, profile=profile)
    except Problem as problem:
        if problem.exit_code != 3:
            raise
        pytest.skip(problem.what)
    assert found == []


class Detached(nn.Module):
    """What a forgotten `detach` does."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).detach()


def planted(text: str, folder: Path, plant: Callable[[Parts], None]) -> Found:
    """What is found in a run whose parts are changed before the first step."""
    path = folder / "c.yaml"
    path.write_text(text)
    run, parts, warnings = prepare(read(path), folder)
    plant(parts)
    execute(run, parts, RunFolder.create(folder / "run"), Lines(io.StringIO()), warnings, Stop())
    return began(folder / "run")


BRANCHES = """\
name: run
data: {source: digits, split: {val: 0.2}, transforms: [flatten, standardize], batch_size: 64}
model: {layers: [{parallel: {branches: [[{linear: 32}, relu], [{linear: 32}, relu]], merge: add}}, {linear: 10}]}
loss: cross_entropy
optimizer: {adam: 1e-3}
training: {steps: 12}
"""


def test_a_branch_that_is_cut_off_from_the_loss(tmp_path: Path) -> None:
    def cut(parts: Parts) -> None:
        branches = next(m for m in parts.networks["model"].modules() if type(m).__name__ == "Parallel")
        branches._modules["1"] = Detached(branches._modules["1"])

    found = planted(BRANCHES, tmp_path, cut)
    assert [line["name"] for line in found] == ["no_gradient"]
    assert "0.1.0.weight" in found[0]["evidence"]


LABELS = """\
name: run
data: {source: digits, split: {val: 0.3}, transforms: [flatten, standardize], batch_size: 64}
model: {layers: [{linear: 32}, relu, {linear: $data.classes}]}
loss: cross_entropy
optimizer: {adam: 3e-3}
training: {steps: 420}
evaluation: {every: 20 steps}
"""


@pytest.mark.parametrize("mistake", ["shuffled", "shifted"])
def test_labels_that_do_not_belong_to_the_samples(mistake: str, tmp_path: Path) -> None:
    def mislabel(parts: Parts) -> None:
        for batches in parts.splits.values():
            y = batches.fields["y"]
            order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
            y.copy_(y[order] if mistake == "shuffled" else y.roll(1))

    assert [line["name"] for line in planted(LABELS, tmp_path, mislabel)][:1] == ["targets"]


def test_the_same_labels_in_their_places_are_learned(tmp_path: Path) -> None:
    assert planted(LABELS, tmp_path, lambda parts: None) == []
