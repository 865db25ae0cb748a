"""What a finding says to write can be written: the line is YAML, and a config with it in validates."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gradtrain import registry
from gradtrain.components.measures import Heard, Look, Measure, Progress, Weight
from gradtrain.components.optimizers.adam import Adam
from gradtrain.components.optimizers.sgd import Sgd
from gradtrain.components.regularizers.elastic_net import ElasticNet
from gradtrain.config.load import read
from gradtrain.config.scalars import dump
from gradtrain.config.sections import Run
from gradtrain.config.tree import parse
from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.start import prepare, start

HERE = Path(__file__).parent
SICK = sorted((HERE / "sick").glob("*/*.yaml"))

SANE = """\
name: sane
data: {source: digits, split: {val: 0.2}, transforms: [flatten, standardize], batch_size: 64}
model: {layers: [{linear: 64}, batch_norm, relu, {linear: 64}, tanh, {linear: 10}]}
loss: cross_entropy
regularization: [{l2: 1e-4}]
optimizer: {adam: 1e-3}
training: {steps: 10, clip_norm: 5.0}
"""

GAME = """\
name: game
data: {source: {moons: {count: 64}}, batch_size: 32}
models: {generator: {input: 4, layers: [{linear: 2}]}, critic: {layers: [{linear: 1}]}}
objective: {gan: {latent: 4, critic: critic}}
optimizers: {generator: {adam: 1e-3}, critic: {adam: 1e-3}}
training: {steps: 2}
evaluation: {splits: []}
"""


def plain(text: str) -> Any:
    return parse(text, "remedy").root.plain()


def merged(before: Any, line: Any) -> Any:
    """As `extends:` merges: mappings merge, everything else replaces; a component replaces the one in its place."""
    if not (isinstance(before, dict) and isinstance(line, dict)):
        return line
    if len(line) == len(before) == 1 and line.keys() != before.keys():
        return line
    return {**before, **{key: merged(before.get(key), value) for key, value in line.items()}}


def pasted(text: str, remedy: str, folder: Path) -> Path:
    """The config with the remedy in it."""
    line = plain(remedy)
    assert set(line) <= set(Run.model_fields), remedy
    path = folder / "pasted.yaml"
    path.write_text(dump(merged(plain(text), line)))
    return path


def is_line(remedy: str) -> bool:
    return re.match(r"[a-z_]+: ", remedy) is not None


ONES = torch.ones(4, 4)
MOMENTS = {"exp_avg": ONES, "exp_avg_sq": 1e-24 * ONES, "step": torch.tensor(9.0)}
A = Weight("a", "a.linear", "linear", ONES, 1e3 * ONES, ONES, memory=MOMENTS, options={"eps": 1e-8})
LOUD = Progress(first=2.0, now=2.5, uniform=0.1)
ADAM = Adam(lr=1e-3, betas=(0.9, 0.99))


def look(step: int = 64, **given: Any) -> Look:
    return Look(step, [A], progress=LOUD, rate=1e-3, peak=1e-3, **{"rule": ADAM, **given})


def relu(share: float) -> Look:
    output = torch.ones(64, 100)
    output[:, : int(100 * share)] = 0
    return look(layers=[Heard("1.relu", "relu", nn.Identity(), output=output)], samples=64)


SAID: dict[str, tuple[str, dict[str, float], Look, dict[str, Any]]] = {
    "small_moments": ("adam_health", {"a": 1.0}, look(), {}),
    "entropy_collapse": ("attention_entropy", {"a": 1e-4}, look(), {}),
    "oscillation": ("gradient_cosine", {"a": -1.0}, look(), {}),
    "oscillation of a critic": (
        "gradient_cosine",
        {"a": -1.0},
        look(rule=Sgd(lr=0.1, momentum=0.9, nesterov=True), role="critic"),
        {},
    ),
    "gradient_spike": ("gradient_norm", {"a": 1e3}, look(), {"recent": [1e-3] * 9}),
    "lost_updates": ("lost_updates", {"a": 1.0}, look(), {}),
    "penalty_dominates": (
        "penalty_share",
        {"elastic_net": 0.99},
        look(strengths={"elastic_net": (ElasticNet(l1=0.5, l2=0.25), 1.0)}),
        {},
    ),
    "saturation": ("saturation", {"a": 0.9}, look(), {"first": 0.0}),
    "first_loss": ("first_loss", {}, look(), {"over": True}),
    "rate_too_high": ("dead_units", {"1.relu": 0.9}, relu(0.9), {"first": 0.0}),
    "always_clipped": ("clip_rate", {"": 1.0}, look(clip_value=0.1), {"recent": [1.0] * 9}),
}
"""Finding that no sick run here leads to, or another remedy for one → measure, what it measured, the look, its past."""


@pytest.mark.parametrize("name", SAID)
def test_a_remedy_can_be_pasted(name: str, tmp_path: Path) -> None:
    measure, values, at, past = SAID[name]
    (sign,) = registry.find(Measure, measure)().signs(values, at, past)
    assert sign.excess >= 1
    assert sign.name == name.split()[0]
    sane = SANE if not at.role else GAME
    run, _, _ = prepare(read(pasted(sane, sign.remedy, tmp_path)), tmp_path)
    assert run != prepare(read(pasted(sane, "name: sane", tmp_path)), tmp_path)[0]


@pytest.mark.parametrize("path", SICK, ids=[f"{path.parent.name}-{path.stem}" for path in SICK])
def test_what_a_sick_run_is_told_to_write_validates_in_it(path: Path, tmp_path: Path) -> None:
    for line in began(path, tmp_path / "run"):
        if is_line(line["remedy"]):
            prepare(read(pasted(path.read_text(), line["remedy"], tmp_path)), tmp_path)
        else:
            assert line["name"] in ("frozen", "no_gradient", "targets"), line["remedy"]


CURED = (
    "always_clipped",
    "penalty_dominates",
    "rate_too_high",
    "rate_too_low",
    "saturation",
    "tiny_batches",
    "unscaled_inputs",
)


@pytest.mark.parametrize(
    "path", [path for path in SICK if path.parent.name in CURED], ids=lambda path: path.parent.name
)
def test_what_a_sick_run_is_told_to_write_cures_it(path: Path, tmp_path: Path) -> None:
    first = began(path, tmp_path / "sick")[0]
    cured = pasted(path.read_text(), first["remedy"], tmp_path)
    assert first["name"] not in [line["name"] for line in began(cured, tmp_path / "cured")]


def began(path: Path, folder: Path) -> list[dict[str, Any]]:
    """The findings of a run; one whose loss is no longer a number ends early."""
    with contextlib.suppress(Problem):
        start(path, folder=folder, shown=Lines(io.StringIO()))
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "finding" and line["event"] == "began"]
