"""Cross-checks of objectives: each mistake with its code, the line it points at, and its whole message (wiring.txt).

`GRADTRAIN_REGENERATE=1 pytest tests/config/test_wiring.py` writes the messages anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradtrain.config.validate import validated
from gradtrain.problems import render

SNAPSHOT = Path(__file__).with_name("wiring.txt")

TEXT = """\
name: text
data:
  source: tinyshakespeare
  split: {val: 0.1}
  windows: {length: 16}
  batch_size: 8
model: {gpt: {layers: 1, heads: 2, width: 8, vocab: $data.vocab}}
objective: language_model
loss: cross_entropy
optimizer: {adam: {lr: 1e-3}}
training: {steps: 10}
"""

VAE = """\
name: vae
data:
  source: digits
  transforms: [{to_float: 16}, flatten]
  batch_size: 32
models:
  encoder: {layers: [{linear: 8}, {gaussian: 2}]}
  decoder: {input: 2, layers: [{linear: 64}]}
objective: vae
optimizer: {adam: {lr: 1e-3}}
training: {steps: 10}
"""

GAN = """\
name: gan
data:
  source: digits
  transforms: [{to_float: 16}, flatten, {normalize: {mean: [0.5], std: [0.5]}}]
  batch_size: 32
models:
  generator: {input: 4, layers: [{linear: 64}, tanh]}
  discriminator: {layers: [{linear: 8}, relu, {linear: 1}]}
objective: {gan: {latent: 4}}
optimizers:
  generator: {adam: {lr: 1e-3}}
  discriminator: {adam: {lr: 1e-3}}
training: {steps: 10}
"""

PAIRS = """\
name: pairs
data:
  source: digits
  transforms: [flatten, standardize]
  pairs: {positive: 0.5}
models:
  embed: {layers: [{linear: 8}]}
  head: {input: 16, layers: [{linear: 1}]}
objective: siamese
loss: binary_cross_entropy
optimizer: {adam: {lr: 1e-3}}
training: {steps: 10}
"""

METRIC = """\
name: metric
data:
  source: digits
  transforms: [flatten, standardize]
model: {layers: [{linear: 8}]}
objective: metric_learning
loss: {triplet: {margin: 0.2}}
optimizer: {adam: {lr: 1e-3}}
training: {steps: 10}
"""

PINN = """\
name: pinn
data:
  source:
    collocation:
      domain: {x: [0.0, 1.0]}
      points: {inside: {count: 8}, edges: {count: 4, where: {x: 0.0}}}
  batch_size: full
model: {layers: [{linear: 4}, tanh, {linear: 1}]}
objective:
  pinn:
    unknown: u
    equations: {inside: "u_xx - u", edges: "u - 1"}
optimizer: {adam: {lr: 1e-3}}
training: {steps: 10}
"""

FORECAST = """\
name: forecast
data:
  source: {sine_waves: {count: 8, length: 20}}
  windows: {length: all}
  batch_size: full
model: {layers: [{lstm: 4}, {linear: 1}]}
objective: forecast
loss: mse
optimizer: {adam: {lr: 1e-3}}
training: {steps: 10}
"""

PHASES = """\
name: phases
data: {source: digits, transforms: [flatten, standardize]}
model: {layers: [{linear: $data.classes}]}
loss: cross_entropy
phases:
  - {steps: 2, optimizer: {adam: {lr: 1e-3}}}
  - {steps: 2, optimizer: {sgd: {lr: 0.1}}}
"""

GOOD = (TEXT, VAE, GAN, PAIRS, METRIC, PINN, FORECAST, PHASES)

CASES: dict[str, tuple[str, list[tuple[str, str]], str, int]] = {
    # name: (a good config, replacements in it, code, line)
    "a-series-without-windows": (TEXT, [("  windows: {length: 16}\n", "")], "windows-missing", 2),
    "a-series-at-random": (TEXT, [("{val: 0.1}", "{val: 0.1, order: random}")], "split-series", 4),
    "a-memory-without-a-stream": (
        TEXT,
        [
            ("gpt: {layers: 1, heads: 2,", "rnn_lm: {size: 8,"),
            ("objective: language_model", "objective: {language_model: {carry: true}}"),
        ],
        "carry-windows",
        5,
    ),
    "a-memory-and-micro-batches": (
        TEXT,
        [
            ("gpt: {layers: 1, heads: 2,", "rnn_lm: {size: 8,"),
            ("{length: 16}", "{length: 16, start: stream}"),
            ("objective: language_model", "objective: {language_model: {carry: true}}"),
            ("{steps: 10}", "{steps: 10, accumulate: 2}"),
        ],
        "carry-windows",
        11,
    ),
    "a-text-with-too-few-scores": (TEXT, [("vocab: $data.vocab", "vocab: 60")], "output-width", 7),
    "no-loss": (TEXT, [("loss: cross_entropy\n", "")], "missing-key", 1),
    "a-loss-too-many": (VAE, [("objective: vae", "objective: vae\nloss: mse")], "loss-unused", 10),
    "an-encoder-without-spread": (VAE, [("{gaussian: 2}", "{linear: 2}")], "output-width", 7),
    "a-decoder-that-reads-something-else": (VAE, [("input: 2", "input: 3")], "output-width", 8),
    "a-decoder-that-reads-nothing": (VAE, [("input: 2, ", "")], "missing-key", 8),
    "a-decoder-that-paints-too-little": (VAE, [("{linear: 64}", "{linear: 60}")], "output-width", 8),
    "a-sigmoid-before-the-likelihood": (VAE, [("{linear: 64}", "{linear: 64}, sigmoid")], "softmax-before-loss", 8),
    "samples-outside-0-to-1": (VAE, [("[{to_float: 16}, flatten]", "[flatten]")], "data-range", 2),
    "one-network-of-two": (
        VAE,
        [
            ("models:\n", ""),
            ("  encoder: {layers: [{linear: 8}, {gaussian: 2}]}\n", "model: {layers: [{linear: 8}]}\n"),
            ("  decoder: {input: 2, layers: [{linear: 64}]}\n", ""),
        ],
        "roles",
        6,
    ),
    "a-generator-that-reads-something-else": (GAN, [("input: 4", "input: 5")], "output-width", 7),
    "a-generator-of-another-size": (GAN, [("{linear: 64}", "{linear: 60}")], "output-width", 7),
    "a-critic-of-two-minds": (GAN, [("relu, {linear: 1}", "relu, {linear: 2}")], "output-width", 8),
    "a-critic-with-a-sigmoid": (GAN, [("{linear: 1}]", "{linear: 1}, sigmoid]")], "softmax-before-loss", 8),
    "tanh-against-0-to-1": (GAN, [(", {normalize: {mean: [0.5], std: [0.5]}}", "")], "data-range", 2),
    "optimizers-of-others": (GAN, [("  discriminator: {adam: {lr: 1e-3}}\n", "")], "roles", 10),
    "nothing-to-draw": (METRIC, [("training:", "sampling: {count: 4}\ntraining:")], "no-samples", 9),
    "no-pairs": (PAIRS, [("  pairs: {positive: 0.5}\n", "")], "pairs", 2),
    "pairs-for-nobody": (METRIC, [("standardize]", "standardize]\n  pairs: {positive: 0.5}")], "pairs", 5),
    "a-head-that-reads-one-embedding": (PAIRS, [("input: 16", "input: 8")], "output-width", 8),
    "a-margin-beyond-the-sphere": (METRIC, [("margin: 0.2", "margin: 3.0")], "margin-too-large", 7),
    "balanced-and-full": (
        METRIC,
        [("standardize]", "standardize]\n  batch_size: full\n  balanced: {classes: 4}")],
        "two-sections",
        6,
    ),
    "relu-in-a-second-derivative": (PINN, [("tanh", "relu")], "flat-network", 8),
    "a-name-that-is-not-there": (PINN, [("u_xx - u", "u_xx - v")], "formula", 12),
    "points-without-an-equation": (PINN, [(', edges: "u - 1"', "")], "point-sets", 12),
    "points-in-small-batches": (PINN, [("batch_size: full", "batch_size: 4")], "point-sets", 7),
    "points-that-depend-on-one-another": (
        PINN,
        [("tanh", "{linear: {out: 4, bias: false}}, batch_norm, tanh")],
        "points-mixed",
        8,
    ),
    "a-metric-without-a-target": (
        PINN,
        [("training:", "evaluation: {splits: [train], metrics: [rmse]}\ntraining:")],
        "nothing-to-compare",
        14,
    ),
    "a-forecast-too-narrow": (FORECAST, [("{linear: 1}", "{linear: 2}")], "output-width", 6),
    "a-window-longer-than-the-rows": (FORECAST, [("length: all", "length: 30")], "shape-mismatch", 4),
    "a-length-beside-phases": (PHASES, [("loss:", "training: {epochs: 2}\nloss:")], "run-length", 4),
    "a-phase-without-length": (PHASES, [("{steps: 2, optimizer: {sgd", "{optimizer: {sgd")], "run-length", 7),
    "a-phase-without-optimizer": (PHASES, [(", optimizer: {sgd: {lr: 0.1}}", "")], "missing-key", 7),
    "an-optimizer-beside-phases": (PHASES, [("loss:", "optimizer: {adam: {lr: 0.1}}\nloss:")], "two-sections", 4),
    "a-graph-in-pieces": (
        METRIC,
        [
            ("metric_learning", "node_classification"),
            ("source: digits", "source: {graph: {path: graph.npz}}"),
            ("  transforms: [flatten, standardize]\n", ""),
            ("{triplet: {margin: 0.2}}", "cross_entropy"),
        ],
        "whole-graph",
        2,
    ),
}


def written(text: str, changes: list[tuple[str, str]], path: Path) -> Path:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", GOOD, ids=lambda text: text.split()[1])
def test_the_good_configs_have_no_problem(text: str, tmp_path: Path) -> None:
    assert validated(written(text, [], tmp_path / "good.yaml")) == []


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_named_where_it_stands(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, changes, code, line = CASES[name]
    found = validated(written(text, changes, Path(f"{name}.yaml")))
    assert [(p.code, p.at.line if p.at else None) for p in found] == [(code, line)]


def test_messages_are_those_of_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = "\n\n".join(
        render(problem)
        for name, (text, changes, *_) in CASES.items()
        for problem in validated(written(text, changes, Path(f"{name}.yaml")))
    )
    if os.environ.get("GRADTRAIN_REGENERATE"):
        SNAPSHOT.write_text(shown + "\n")
    assert shown + "\n" == SNAPSHOT.read_text()
