"""Every objective trains from YAML, measures what it reported, and goes on bit for bit after a stop."""

from __future__ import annotations

import io
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from gradtrain import registry
from gradtrain.components.objectives import Objective
from gradtrain.report.display import Lines
from gradtrain.run import Outcome
from gradtrain.start import go_on, measured, reopen, start
from gradtrain.storage import checkpoint

DIGITS = "source: digits, split: {train: 0.1, val: 0.1}, batch_size: 32"
FLAT = "transforms: [{to_float: 16}, flatten]"
ADAM = "optimizer: {adam: {lr: 1e-2}}"
CLASSES = "{layers: [{linear: 8}, relu, {linear: $data.classes}]}"

CONFIGS = {
    "supervised": f"""
data: {{{DIGITS}, {FLAT}}}
model: {CLASSES}
loss: cross_entropy
{ADAM}
""",
    "phases": f"""
data: {{{DIGITS}, {FLAT}}}
model: {CLASSES}
loss: cross_entropy
phases:
  - {{steps: 3, optimizer: {{adam: {{lr: 1e-2}}}}, freeze: "0.*"}}
  - {{steps: 3, optimizer: {{sgd: {{lr: 0.1, momentum: 0.9}}}}, schedule: {{cosine: {{min_lr: 1e-3}}, by: step}}}}
training: {{ema: 0.9}}
""",
    "supervised with a slope penalty and a constraint": f"""
data: {{{DIGITS}, {FLAT}}}
model: {CLASSES}
loss: cross_entropy
regularization: [{{jacobian: 0.01}}, {{activity: 0.01, at: "0"}}, {{max_norm: 0.5}}, {{entropy: 0.01}}]
{ADAM}
""",
    "language_model": f"""
data: {{source: {{text: {{path: text.txt}}}}, split: {{val: 0.2}}, windows: {{length: 8}}, batch_size: 4}}
model: {{gpt: {{layers: 1, heads: 2, width: 8, vocab: $data.vocab, dropout: 0.1}}}}
loss: cross_entropy
{ADAM}
sampling: {{every: 3 steps, length: 5, prompt: a}}
""",
    "language_model with a carried memory": f"""
data:
  source: {{text: {{path: text.txt}}}}
  split: {{val: 0.2}}
  windows: {{length: 5, start: stream}}
  batch_size: 4
model: {{rnn_lm: {{cell: gru, width: 6, size: 8, vocab: $data.vocab}}}}
objective: {{language_model: {{carry: true}}}}
loss: cross_entropy
{ADAM}
sampling: {{every: 2 steps, length: 5, prompt: a}}
""",
    "autoencoder": f"""
data: {{{DIGITS}, {FLAT}}}
model: {{layers: [{{linear: 8}}, relu, {{linear: 64}}]}}
objective: {{autoencoder: {{noise: 0.1}}}}
loss: mse
{ADAM}
""",
    "vae": f"""
data: {{{DIGITS}, {FLAT}}}
models:
  encoder: {{layers: [{{linear: 8}}, relu, {{gaussian: 2}}]}}
  decoder: {{input: 2, layers: [{{linear: $data.features}}]}}
objective: {{vae: {{warmup: 5}}}}
{ADAM}
""",
    "vae with micro-batches": f"""
data: {{{DIGITS}, {FLAT}}}
models:
  encoder: {{layers: [{{linear: 8}}, relu, {{gaussian: 2}}]}}
  decoder: {{input: 2, layers: [{{linear: $data.features}}]}}
objective: {{vae: {{warmup: 5}}}}
training: {{steps: 6, accumulate: 2}}
{ADAM}
""",
    "gan": f"""
data: {{{DIGITS}, {FLAT}}}
models:
  generator: {{input: 3, layers: [{{linear: 64}}, sigmoid]}}
  discriminator: {{layers: [{{linear: 8}}, {{leaky_relu: 0.2}}, {{linear: 1}}]}}
objective: {{gan: {{latent: 3, reuse_fakes: true}}}}
optimizers: {{generator: {{adam: {{lr: 1e-3}}}}, discriminator: {{adam: {{lr: 2e-3}}}}}}
""",
    "gan with three critic steps and a gradient penalty": f"""
data: {{{DIGITS}, {FLAT}}}
models:
  generator: {{input: 3, layers: [{{linear: 64}}, sigmoid]}}
  critic: {{layers: [{{linear: 8}}, {{leaky_relu: 0.2}}, {{linear: 1}}]}}
objective: {{gan: {{latent: 3, loss: wasserstein, critic: critic, critic_steps: 3}}}}
regularization: [{{gradient_penalty: 10.0}}]
optimizers: {{generator: {{adam: {{lr: 1e-3}}}}, critic: {{adam: {{lr: 1e-3}}}}}}
""",
    "siamese": f"""
data: {{{DIGITS}, {FLAT}, pairs: {{positive: 0.5}}}}
models:
  embed: {{layers: [{{linear: 8}}]}}
  head: {{input: 16, layers: [{{linear: 1}}]}}
objective: siamese
loss: binary_cross_entropy
{ADAM}
""",
    "metric_learning": f"""
data: {{source: digits, split: {{train: 0.5, val: 0.1}}, {FLAT}, balanced: {{classes: 4, per_class: 3}}}}
model: {{layers: [{{linear: 8}}]}}
objective: metric_learning
loss: {{triplet: {{margin: 0.2}}}}
{ADAM}
evaluation: {{every: 2 steps, metrics: [{{recall_at: 1}}]}}
""",
    "distillation": f"""
data: {{{DIGITS}, {FLAT}}}
models:
  teacher: {{trained: teacher, frozen: true}}
  student: {{layers: [{{linear: $data.classes}}]}}
objective: {{distillation: {{temperature: 2.0}}}}
loss: cross_entropy
{ADAM}
""",
    "forecast": """
data:
  source: {sine_waves: {count: 8, length: 20}}
  split: {val: 2, order: contiguous}
  windows: {length: all}
  batch_size: full
model: {layers: [{lstm: {size: 4}}, {linear: 1}]}
loss: mse
optimizer: {lbfgs: {lr: 0.5, max_iter: 3}}
sampling: {every: 3 steps, count: 2, length: 4}
""",
    "node_classification": f"""
data: {{source: {{graph: {{path: graph.npz}}}}, batch_size: full}}
model: {{layers: [{{gcn: 4}}, relu, {{dropout: 0.3}}, {{gat: {{out: $data.classes}}}}]}}
loss: cross_entropy
{ADAM}
""",
    "diffusion": f"""
data: {{{DIGITS}, transforms: [{{to_float: 16}}, {{normalize: {{mean: [0.5], std: [0.5]}}}}]}}
model: {{input: [2, 8, 8], layers: [{{conv: {{out: 1, kernel: 3, padding: 1}}}}]}}
objective: {{diffusion: {{steps: 20, sample_steps: 3}}}}
loss: mse
{ADAM}
sampling: {{every: 3 steps, count: 2}}
""",
    "minimize": f"""
data: {{source: nothing}}
model: {{layers: [{{variables: [4.0, -2.0]}}]}}
objective: {{minimize: {{formula: "x^2 + 3 * y^2", names: [x, y]}}}}
{ADAM}
""",
    "pinn": f"""
data:
  source:
    collocation:
      domain: {{x: [0.0, 1.0]}}
      points: {{inside: {{count: 8}}, edges: {{count: 4, where: {{x: 0.0}}}}}}
  batch_size: full
model: {{layers: [{{linear: 4}}, tanh, {{linear: 1}}]}}
objective: {{pinn: {{unknown: u, equations: {{inside: "u_x - u", edges: "u - 1"}}, exact: "exp(x)"}}}}
{ADAM}
""",
    "seq2seq": f"""
data: {{source: {{reversal: {{longest: 3, train: 100, test: 20}}}}, split: {{val: 0.2}}, batch_size: 16}}
model: {{encoder_decoder: {{source: 3, vocab: $data.vocab, layers: 1, heads: 2, width: 8}}}}
loss: cross_entropy
{ADAM}
""",
}  # fmt: skip
"""Name (its first word the objective) → the config, without the lines that all have."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 12)
    draw = np.random.default_rng(0)
    edges = np.array([[i, (i + 1) % 30] for i in range(30)])
    masks = {name: (np.arange(30) % 3 == i) & (np.arange(30) != 7) for i, name in enumerate(("train", "val", "test"))}
    np.savez(
        tmp_path / "graph.npz",
        x=draw.normal(size=(30, 5)).astype(np.float32),
        label=np.where(np.arange(30) == 7, -1, np.arange(30) % 2),  # a node may have no label
        edges=edges,
        **masks,
    )
    return tmp_path


def written(place: Path, name: str) -> Path:
    text = CONFIGS[name]
    objective = name.split()[0]
    lines = [f"name: {objective}", "seed: 3"]
    lines += [f"objective: {objective}"] if "objective:" not in text and objective != "phases" else []
    if "phases:" not in text and "training:" not in text:
        lines.append("training: {steps: 6}")
    if "evaluation:" not in text:
        metrics = "evaluation: {every: 2 steps, splits: [train]}" if objective in ("minimize", "pinn") else None
        lines.append(metrics or "evaluation: {every: 2 steps}")
    lines.append("checkpoint: {every: 1 steps, keep: 20}")
    path = place / f"{objective}.yaml"
    path.write_text("\n".join(lines) + text)
    return path


def trained(config: Path, folder: str) -> Outcome:
    return start(config, folder=config.parent / folder, shown=Lines(io.StringIO()))


def test_every_objective_is_tried() -> None:
    assert {name.split()[0] for name in CONFIGS} - {"phases"} == set(registry.names(Objective))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_dry_run_goes_through_everything_and_leaves_nothing(name: str, place: Path) -> None:
    if name == "distillation":
        trained(written(place, "supervised"), "teacher")
    config = written(place, name)
    before = sorted(place.rglob("*"))
    assert start(config, dry_run=True, shown=Lines(io.StringIO())).step == 1
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("name", CONFIGS)
def test_it_goes_on_bit_for_bit_and_measures_what_it_reported(name: str, place: Path) -> None:
    if name == "distillation":
        trained(written(place, "supervised"), "teacher")
    outcome = trained(written(place, name), "whole")
    assert (outcome.state, outcome.step) == ("finished", 6)
    whole = checkpoint.newest(place / "whole" / "checkpoints")
    split, values = measured(place / "whole")
    assert values == outcome.results[split]
    for stop in (2, 3):
        folder = place / f"stopped-{stop}"
        shutil.copytree(place / "whole", folder)
        for step in range(stop + 1, 7):
            shutil.rmtree(folder / "checkpoints" / f"step-{step:08d}")
        (folder / "status.json").unlink()
        go_on(folder, shown=Lines(io.StringIO()))
        again = checkpoint.newest(folder / "checkpoints")
        assert again.step == whole.step
        different = [key for key in whole.tensors if not torch.equal(whole.tensors[key], again.tensors[key])]
        assert not different
        assert again.tensors.keys() == whole.tensors.keys()
        drawn = {path.name: path.read_bytes() for path in (place / "whole").glob("samples/*")}
        assert drawn == {path.name: path.read_bytes() for path in folder.glob("samples/*")}


def test_a_run_with_a_teacher_is_opened_from_anywhere(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(written(place, "supervised"), "teacher")
    outcome = trained(written(place, "distillation"), "whole")
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    split, values = measured(place / "whole")
    assert values == outcome.results[split]
    assert reopen(place / "whole").step == 6


@pytest.mark.parametrize("frozen", [True, False])
def test_a_teacher_stays_as_it_was(place: Path, frozen: bool) -> None:
    trained(written(place, "supervised"), "teacher")
    config = written(place, "distillation")
    if not frozen:  # neither penalties nor decay reach it
        text = config.read_text().replace(", frozen: true", "").replace("{adam: ", "{adamw: ")
        config.write_text(text.replace("loss:", "regularization: [{l1: 0.1}, {l2: 0.1, form: decoupled}]\nloss:"))
    trained(config, "whole")
    now = checkpoint.newest(place / "whole" / "checkpoints").tensors
    best = checkpoint.newest(place / "teacher" / "checkpoints").facts["memory"]["best_step"]
    then = checkpoint.load(place / "teacher" / "checkpoints", best).tensors
    taught = {name: value for name, value in now.items() if name.startswith("network.teacher.")}
    assert taught
    for name, value in taught.items():
        assert torch.equal(value, then[name.replace("teacher", "model")])
    assert not any(name.startswith("update.") and "teacher" in name for name in now)


def test_what_a_phase_freezes_changes_in_the_other_one_only(place: Path) -> None:
    trained(written(place, "phases"), "whole")
    steps = [checkpoint.load(place / "whole" / "checkpoints", step).tensors for step in range(1, 7)]
    for name, still in (
        ("network.model.0.weight", [True, True, False, False, False]),
        ("network.model.2.weight", [False] * 5),
    ):
        assert [torch.equal(a[name], b[name]) for a, b in pairwise(steps)] == still
    average = "average.model.0.weight"
    assert average not in steps[0]  # nothing that rests has an average
    assert average in steps[3]
