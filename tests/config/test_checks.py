"""Every cross-check: its code, the line it points at, and its whole message (tests/config/messages.txt).

`GRADTRAIN_REGENERATE=1 pytest tests/config/test_checks.py` writes the messages anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradtrain.config.validate import validated
from gradtrain.problems import render

SNAPSHOT = Path(__file__).with_name("messages.txt")

GOOD = """\
name: good
data:
  source: digits
  split: {val: 0.2, test: 0.2}
  transforms: [flatten, standardize]
  batch_size: 64
model:
  layers: [{linear: 32}, relu, {linear: $data.classes}]
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
training: {epochs: 2}
evaluation: {metrics: [accuracy]}
"""

Change = tuple[str, str]

CASES: dict[str, tuple[list[Change], str, int]] = {
    # name: (replacements in the good config, code, line)
    "softmax-last": ([("{linear: $data.classes}]", "{linear: $data.classes}, softmax]")], "softmax-before-loss", 8),
    "sigmoid-last": (
        [
            ("{linear: $data.classes}]", "{linear: 1}, sigmoid]"),
            ("source: digits", "source: moons\n  target: {kind: binary}"),
            ("loss: cross_entropy", "loss: binary_cross_entropy"),
        ],
        "softmax-before-loss",
        9,
    ),
    "hinge-on-classes": ([("loss: cross_entropy", "loss: hinge")], "target-kind", 9),
    "cross-entropy-on-pm1": ([("source: digits", "source: moons\n  target: {kind: pm1}")], "target-kind", 10),
    "windows-of-labelled": ([("  batch_size: 64", "  windows: {length: 5}")], "windows-labels", 6),
    "one-output": ([("{linear: $data.classes}", "{linear: 1}")], "output-width", 8),
    "wrong-width": ([("{linear: $data.classes}", "{linear: 7}")], "output-width", 8),
    "value-width": (
        [
            ("source: digits", "source: linear"),
            ("{linear: $data.classes}", "{linear: 3}"),
            ("cross_entropy", "mse"),
            ("[accuracy]", "[r2]"),
        ],
        "output-width",
        8,
    ),
    "linear-on-image": ([("[flatten, standardize]", "[standardize]")], "shape-mismatch", 8),
    "conv-on-vector": ([("{linear: 32}", "{conv: {out: 3, kernel: 3}}")], "shape-mismatch", 8),
    "kernel-too-large": (
        [
            ("[flatten, standardize]", "[standardize]"),
            ("[{linear: 32}, relu", "[{max_pool: 4}, {conv: {out: 3, kernel: 5}}, flatten"),
        ],
        "shape-mismatch",
        8,
    ),
    "inside-residual": ([("{linear: 32}, relu", "{residual: {body: [{linear: 32}]}}")], "shape-mismatch", 8),
    "take-without-save": ([("relu, ", "{take: {key: a}}, ")], "shape-mismatch", 8),
    "unscaled": (
        [("source: digits", "source: fashion_mnist"), ("[flatten, standardize]", "[flatten]")],
        "unscaled-input",
        2,
    ),
    "not-shuffled": ([("batch_size: 64", "batch_size: 64\n  shuffle: false")], "not-shuffled", 7),
    "split-shares": ([("val: 0.2, test: 0.2", "val: 0.7, test: 0.7")], "split-shares", 4),
    "no-batches": ([("batch_size: 64", "batch_size: 4096\n  drop_last: true")], "no-batches", 6),
    "batch-of-one": ([("batch_size: 64", "batch_size: 1078"), ("relu", "relu, batch_norm")], "batch-of-one", 6),
    "batch-size-one": ([("batch_size: 64", "batch_size: 1"), ("relu", "relu, batch_norm")], "batch-of-one", 6),
    "bias-before-norm": ([("relu", "layer_norm, relu")], "bias-before-norm", 8),
    "dropout-before-norm": ([("{linear: 32}, relu", "{dropout: 0.1}, batch_norm, relu")], "dropout-before-norm", 8),
    "epochs-and-steps": ([("epochs: 2", "epochs: 2, steps: 10")], "run-length", 11),
    "no-length": ([("{epochs: 2}", "{clip_norm: 1.0}")], "run-length", 11),
    "ema-missing": ([("metrics: [accuracy]", "use_ema: true")], "ema-missing", 12),
    "model-and-models": ([("loss:", "models: {model: {layers: [{linear: 10}]}}\nloss:")], "two-sections", 9),
    "wrong-roles": ([("model:\n  layers", "models:\n  critic:\n    layers")], "roles", 7),
    "no-model": ([("model:\n  layers: [{linear: 32}, relu, {linear: $data.classes}]\n", "")], "missing-key", 1),
    "no-optimizer": ([("optimizer: {sgd: {lr: 0.1}}\n", "")], "missing-key", 1),
    "empty-network": (
        [("  layers: [{linear: 32}, relu, {linear: $data.classes}]", "  init: kaiming_normal")],
        "missing-key",
        7,
    ),
    "loss-weight": ([("loss: cross_entropy", "loss: {cross_entropy: {}, weight: -1}")], "loss-weight", 9),
    "unknown-metric": (
        [("metrics: [accuracy]}", "metrics: [accuracy]}\ncheckpoint: {best: val.f1}")],
        "unknown-metric",
        13,
    ),
    "watch-test": (
        [
            (
                "metrics: [accuracy]}",
                "metrics: [accuracy], splits: [val, test]}\nearly_stopping: {patience: 3, watch: test.loss}",
            )
        ],
        "test-selection",
        13,
    ),
    "no-val-split": (
        [("val: 0.2, ", ""), ("metrics: [accuracy]}", "metrics: [accuracy]}\nearly_stopping: {patience: 3}")],
        "no-val-split",
        13,
    ),
    "metric-kind": ([("metrics: [accuracy]", "metrics: [rmse]")], "metric-kind", 12),
    "unknown-finding": (
        [("training:", "diagnostics: {on: {vanish: stop}}\ntraining:")],
        "unknown-finding",
        11,
    ),
    "schedule-unit": ([("training:", "schedule: {cosine: {min_lr: 0.0}}\ntraining:")], "schedule-unit", 11),
    "schedule-too-long": (
        [("training:", "schedule: {cosine: {over: 9999}, by: step}\ntraining:")],
        "schedule-too-long",
        11,
    ),
    "warmup-too-long": (
        [("training:", "schedule: {cosine: {warmup: 9999}, by: step}\ntraining:")],
        "warmup-too-long",
        11,
    ),
    "decay-twice": (
        [("training:", "regularization: [{l2: 1e-4}]\ntraining:"), ("lr: 0.1", "lr: 0.1, weight_decay: 1e-3")],
        "decay-twice",
        11,
    ),
    "penalty-with-adam": (
        [("training:", "regularization: [{l2: 1e-4}]\ntraining:"), ("sgd: {lr: 0.1}", "adam: 1e-3")],
        "penalty-with-adam",
        11,
    ),
    "decoupled-elastic": (
        [("training:", "regularization: [{elastic_net: {l1: 0.1, l2: 0.1}, form: decoupled}]\ntraining:")],
        "bad-value",
        11,
    ),
    "penalty-word": (
        [("training:", "regularization: [{gradient_penalty: 10, at: real}]\ntraining:")],
        "penalty-word",
        11,
    ),
    "penalty-mixes": (
        [("training:", "regularization: [{r1: 1.0}]\ntraining:"), ("relu", "relu, batch_norm")],
        "penalty-mixes",
        11,
    ),
    "norm-undefined": ([("relu", "norm, relu")], "norm-undefined", 8),
    "too-large": ([("linear: 32", "linear: 1000000000000")], "too-large", 8),
    "unknown-fact": ([("$data.classes", "$data.channel")], "unknown-fact", 8),
    "fact-not-there": (
        [("source: digits", "source: linear"), ("cross_entropy", "mse"), ("[accuracy]", "[r2]")],
        "unknown-fact",
        8,
    ),
    "nesterov-without-momentum": ([("lr: 0.1", "lr: 0.1, nesterov: true")], "bad-value", 10),
    "patience-zero": (
        [("metrics: [accuracy]}", "metrics: [accuracy]}\nearly_stopping: {patience: 0}")],
        "out-of-range",
        13,
    ),
    "keep-one": ([("metrics: [accuracy]}", "metrics: [accuracy]}\ncheckpoint: {keep: 1}")], "out-of-range", 13),
    "accumulate-a-sum": (
        [
            ("loss: cross_entropy", "loss: {cross_entropy: {reduce: sum}}"),
            ("{epochs: 2}", "{epochs: 2, accumulate: 2}"),
        ],
        "accumulate-shares",
        11,
    ),
    "accumulate-two-counts": (
        [
            ("loss: cross_entropy", "loss: [{cross_entropy: {ignore_index: 3}}, cross_entropy]"),
            ("{epochs: 2}", "{epochs: 2, accumulate: 2}"),
        ],
        "accumulate-shares",
        11,
    ),
    "every-without-unit": ([("metrics: [accuracy]", "every: 3")], "bad-value", 12),
    "lbfgs-groups": (
        [
            ("batch_size: 64", "batch_size: full"),
            ("{sgd: {lr: 0.1}}", "{lbfgs: 1.0, groups: [{params: biases, lr: 0.1}]}"),
        ],
        "groups-refused",
        10,
    ),
    "lbfgs-mini-batches": ([("sgd: {lr: 0.1}", "lbfgs: 1.0")], "function-changes", 6),
    "lbfgs-dropout": (
        [
            ("batch_size: 64", "batch_size: full"),
            ("relu, ", "relu, {dropout: 0.1}, "),
            ("sgd: {lr: 0.1}", "lbfgs: 1.0"),
        ],
        "function-changes",
        8,
    ),
    "lbfgs-clip": (
        [
            ("batch_size: 64", "batch_size: full"),
            ("epochs: 2", "epochs: 2, clip_norm: 1.0"),
            ("sgd: {lr: 0.1}", "lbfgs: 1.0"),
        ],
        "function-changes",
        11,
    ),
    "lbfgs-bfloat16": (
        [
            ("batch_size: 64", "batch_size: full"),
            ("sgd: {lr: 0.1}", "lbfgs: 1.0"),
            ("training:", "precision: bfloat16\ntraining:"),
        ],
        "function-changes",
        11,
    ),
    "lbfgs-decoupled": (
        [
            ("batch_size: 64", "batch_size: full"),
            ("sgd: {lr: 0.1}", "lbfgs: 1.0"),
            ("training:", "regularization: [{l2: 0.1, form: decoupled}]\ntraining:"),
        ],
        "function-changes",
        11,
    ),
    "lbfgs-float16": (
        [
            ("batch_size: 64", "batch_size: full"),
            ("sgd: {lr: 0.1}", "lbfgs: 1.0"),
            ("training:", "precision: float16\ntraining:"),
        ],
        "closure-precision",
        11,
    ),
    "sam-float16": (
        [("sgd: {lr: 0.1}", "sam: 0.1"), ("training:", "precision: float16\ntraining:")],
        "closure-precision",
        11,
    ),
    "two-policies": (
        [("epochs: 2", "epochs: 2, on_nonfinite: {skip: {}, rollback: {}}")],
        "two-policies",
        11,
    ),
    "no-policy": ([("epochs: 2", "epochs: 2, on_nonfinite: {skip: null}")], "two-policies", 11),
    "lbfgs-skip": (
        [
            ("batch_size: 64", "batch_size: full"),
            ("sgd: {lr: 0.1}", "lbfgs: 1.0"),
            ("epochs: 2", "epochs: 2, on_nonfinite: skip"),
        ],
        "policy-unfit",
        11,
    ),
    "schedule-free-ema": (
        [("sgd: {lr: 0.1}", "schedule_free: 0.01"), ("epochs: 2", "epochs: 2, ema: 0.99")],
        "two-averages",
        11,
    ),
    "schedule-free-schedule": (
        [
            ("sgd: {lr: 0.1}", "schedule_free: 0.01"),
            ("training:", "schedule: {cosine: {min_lr: 0.0}, by: step}\ntraining:"),
        ],
        "schedule-needless",
        11,
    ),
}

END = "optimizer: {adam: 1e-2}\ntraining: {epochs: 1}\n"
DIGITS = "name: a\ndata: {source: digits, transforms: [{to_float: 16}, flatten]}\n"
BOOK = "name: a\ndata: {source: tinyshakespeare, windows: {length: 8}, batch_size: 4}\n"
WAVES = "name: a\ndata: {source: sine_waves, windows: {length: all}}\n"
GPT = "model: {gpt: {layers: 1, heads: 2, width: 8, vocab: $data.vocab}}\n"
LSTM = "model: {rnn_lm: {width: 4, size: 4, vocab: $data.vocab}}\n"
CLASSES = "model: {layers: [{linear: $data.classes}]}\n"
PAIR = "models:\n  embed: {layers: [{linear: 4}]}\n  head: {input: 8, layers: [{linear: 1}]}\n"
PAIRS = DIGITS.replace("digits,", "digits, pairs: {positive: 0.5},")
FAR = "model: {layers: [{linear: 4}]}\nobjective: {siamese: {combine: distance}}\n"
GAN = (
    "models:\n  generator: {input: 3, layers: [{linear: 64}, sigmoid]}\n"
    "  discriminator: {layers: [{linear: 8}, {linear: 1}]}\nobjective: {gan: {latent: 3}}\n"
)
VAE = (
    "models:\n  encoder: {layers: [{linear: 8}, {gaussian: 2}]}\n"
    "  decoder: {input: 2, layers: [{linear: $data.features}]}\nobjective: vae\n"
)
STUDENT = (
    "models:\n  teacher: {trained: runs/teacher/001}\n  student: {layers: [{linear: 10}]}\n"
    "objective: distillation\nloss: cross_entropy\n"
)
NOISE = (
    "name: a\ndata: {source: digits, transforms: [{to_float: 16}, {normalize: {mean: [0.5], std: [0.5]}}]}\n"
    "model: {input: [2, 8, 8], layers: [{conv: {out: 1, kernel: 3, padding: 1}}]}\nobjective: diffusion\nloss: mse\n"
)
CROSS = "loss: cross_entropy\n"

TEXTS: dict[str, tuple[str, str, int]] = {
    # name: (a whole config, code, line)
    "no-loss": (DIGITS + CLASSES + END, "missing-key", 1),
    "loss-of-a-vae": (DIGITS + VAE + "loss: mse\n" + END, "loss-unused", 7),
    "siamese-without-pairs": (DIGITS + PAIR + "objective: siamese\nloss: binary_cross_entropy\n" + END, "pairs", 2),
    "pairs-without-siamese": (PAIRS + CLASSES + CROSS + END, "pairs", 2),
    "pairs-the-other-way": (
        PAIRS + FAR + "loss: {contrastive: {same_label: 0}}\n" + END,
        "pairs",
        5,
    ),
    "series-without-windows": (
        BOOK.replace(" windows: {length: 8},", "") + GPT + "objective: language_model\n" + CROSS + END,
        "windows-missing",
        2,
    ),
    "whole-series": (
        BOOK.replace("length: 8", "length: all") + GPT + "objective: language_model\n" + CROSS + END,
        "shape-mismatch",
        2,
    ),
    "window-of-a-row": (
        WAVES.replace("all", "1000")
        + "model: {layers: [{lstm: 4}, {linear: 1}]}\nobjective: forecast\nloss: mse\n"
        + END,
        "shape-mismatch",
        2,
    ),
    "series-at-random": (
        BOOK.replace("source", "split: {val: 0.1, order: random}, source")
        + GPT
        + "objective: language_model\n"
        + CROSS
        + END,
        "split-series",
        2,
    ),
    "carry-without-stream": (
        BOOK + LSTM + "objective: {language_model: {carry: true}}\n" + CROSS + END,
        "carry-windows",
        2,
    ),
    "carry-accumulate": (
        BOOK.replace("length: 8", "length: 8, start: stream")
        + LSTM
        + "objective: {language_model: {carry: true}}\n"
        + CROSS
        + END.replace("epochs: 1", "epochs: 1, accumulate: 2"),
        "carry-windows",
        7,
    ),
    "scores-of-one-place": (
        BOOK + "model: {layers: [{embedding: {vocab: $data.vocab, width: 4}}, flatten, {linear: $data.vocab}]}\n"
        "objective: language_model\n" + CROSS + END,
        "output-width",
        3,
    ),
    "balanced-full": (
        DIGITS.replace("digits,", "digits, balanced: {classes: 3, per_class: 3}, batch_size: full,")
        + CLASSES
        + "objective: metric_learning\nloss: triplet\n"
        + END,
        "two-sections",
        2,
    ),
    "margin-on-the-sphere": (
        DIGITS + CLASSES + "objective: metric_learning\nloss: {triplet: {margin: 2.5}}\n" + END,
        "margin-too-large",
        5,
    ),
    "embedding-of-a-picture": (
        DIGITS.replace(", flatten", "")
        + "model: {layers: [{conv: {out: 2, kernel: 3}}]}\nobjective: metric_learning\nloss: triplet\n"
        + END,
        "output-width",
        3,
    ),
    "part-of-a-graph": (
        "name: a\ndata: {source: {graph: {path: cora.npz}}, batch_size: 32}\nmodel: {layers: [{gcn: 7}]}\n"
        "objective: node_classification\n" + CROSS + END,
        "whole-graph",
        2,
    ),
    "nothing-to-draw": (DIGITS + CLASSES + CROSS + "sampling: {count: 4}\n" + END, "no-samples", 5),
    "reconstruction-of-a-gan": (DIGITS + GAN + "sampling: {source: reconstruction}\n" + END, "no-samples", 7),
    "one-model-for-a-gan": (DIGITS + CLASSES + "objective: {gan: {latent: 3}}\n" + END, "roles", 3),
    "optimizers-of-a-vae": (
        DIGITS + VAE + END.replace("optimizer: {adam: 1e-2}", "optimizers: {encoder: {adam: 1e-2}}"),
        "roles",
        7,
    ),
    "optimizers-of-a-phase": (
        DIGITS + GAN + "phases: [{epochs: 1, optimizers: {generator: {adam: 1e-2}}}]\n",
        "roles",
        7,
    ),
    "phases-and-optimizer": (
        DIGITS + CLASSES + CROSS + "phases: [{epochs: 1, optimizer: {sgd: 0.1}}]\noptimizer: {sgd: 0.1}\n",
        "two-sections",
        6,
    ),
    "phases-and-epochs": (
        DIGITS + CLASSES + CROSS + "phases: [{epochs: 1, optimizer: {sgd: 0.1}}]\ntraining: {epochs: 2}\n",
        "run-length",
        6,
    ),
    "phase-without-length": (DIGITS + CLASSES + CROSS + "phases: [{optimizer: {sgd: 0.1}}]\n", "run-length", 5),
    "phase-without-optimizer": (DIGITS + CLASSES + CROSS + "phases: [{epochs: 1}]\n", "missing-key", 5),
    "trained-and-layers": (
        DIGITS + STUDENT.replace("trained", "layers: [{linear: 10}], trained") + END,
        "two-sections",
        4,
    ),
    "decoder-without-input": (DIGITS + VAE.replace("input: 2, ", "") + END, "missing-key", 5),
    "decoder-of-another-size": (DIGITS + VAE.replace("input: 2", "input: 3") + END, "output-width", 5),
    "encoder-without-gaussian": (DIGITS + VAE.replace("{gaussian: 2}", "{linear: 2}") + END, "output-width", 4),
    "bernoulli-of-negative-samples": (
        DIGITS.replace("flatten", "{normalize: {mean: [0.5], std: [0.5]}}, flatten") + VAE + END,
        "data-range",
        2,
    ),
    "vae-sigmoid": (
        DIGITS + VAE.replace("$data.features}", "$data.features}, sigmoid") + END,
        "softmax-before-loss",
        5,
    ),
    "another-latent": (DIGITS + GAN.replace("latent: 3", "latent: 4") + END, "output-width", 4),
    "fakes-of-another-size": (DIGITS + GAN.replace("linear: 64", "linear: 63") + END, "output-width", 4),
    "critic-sigmoid": (DIGITS + GAN.replace("{linear: 1}", "{linear: 1}, sigmoid") + END, "softmax-before-loss", 5),
    "gan-range": (DIGITS + GAN.replace("sigmoid", "tanh") + END, "data-range", 2),
    "half-an-image": (
        DIGITS + "model: {layers: [{linear: 32}]}\nobjective: autoencoder\nloss: mse\n" + END,
        "output-width",
        3,
    ),
    "head-of-another-size": (
        PAIRS + PAIR.replace("input: 8", "input: 4") + "objective: siamese\nloss: binary_cross_entropy\n" + END,
        "output-width",
        5,
    ),
    "student-of-another-size": (
        DIGITS + STUDENT.replace("[{linear: 10}]}\no", "[{linear: 9}]}\no") + END,
        "output-width",
        5,
    ),
    "teacher-without-a-run": (
        DIGITS + STUDENT.replace("trained: runs/teacher/001", "layers: [{linear: 10}]") + END,
        "never-trained",
        4,
    ),
    "frozen-teacher-without-a-run": (
        DIGITS + STUDENT.replace("trained: runs/teacher/001", "layers: [{linear: 10}], frozen: true") + END,
        "never-trained",
        4,
    ),
    "probability-of-a-distance": (
        PAIRS + FAR + "loss: binary_cross_entropy\n" + END,
        "distance-loss",
        5,
    ),
    "metric-of-a-distance": (
        PAIRS + FAR + "loss: {contrastive: {same_label: 1}}\nevaluation: {metrics: [accuracy]}\n" + END,
        "metric-kind",
        6,
    ),
    "slope-without-samples": (DIGITS + VAE + "regularization: [{r1: 1.0}]\n" + END, "no-points", 7),
    "slope-of-symbols": (
        "name: a\ndata: {source: reversal, target: {kind: class}}\n"
        "model: {layers: [{embedding: {width: 4, vocab: $data.vocab}}, flatten, {linear: 4}]}\n"
        + CROSS
        + "regularization: [{r1: 1.0}]\n"
        + END,
        "no-points",
        5,
    ),
    "slope-between-fakes": (
        DIGITS + CLASSES + CROSS + "regularization:\n  - max_norm: 2.0\n  - gradient_penalty: 10\n" + END,
        "no-fakes",
        7,
    ),
    "two-values-a-step": (
        WAVES + "model: {layers: [{lstm: 4}, {linear: 2}]}\nobjective: forecast\nloss: mse\n" + END,
        "output-width",
        3,
    ),
    "noise-without-time": (NOISE.replace("[2, 8, 8]", "[1, 8, 8]") + END, "output-width", 3),
    "noise-of-two-channels": (NOISE.replace("out: 1", "out: 2") + END, "output-width", 3),
}


def written(changes: list[Change], path: Path) -> Path:
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_the_good_config_has_no_problem(tmp_path: Path) -> None:
    assert validated(written([], tmp_path / "good.yaml")) == []


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_named_where_it_stands(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes, code, line = CASES[name]
    found = validated(written(changes, Path(f"{name}.yaml")))
    assert [(p.code, p.at.line if p.at else None) for p in found] == [(code, line)]


@pytest.mark.parametrize("name", TEXTS)
def test_a_mistake_about_the_objective_is_named_where_it_stands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, code, line = TEXTS[name]
    Path("c.yaml").write_text(text)
    assert [(p.code, p.at.line if p.at else None) for p in validated(Path("c.yaml"))] == [(code, line)]


@pytest.mark.parametrize(
    "text",
    [
        PAIRS + PAIR + "objective: siamese\nloss: binary_cross_entropy\n" + END,
        BOOK + GPT + "objective: language_model\n" + CROSS + END,
        BOOK.replace("length: 8", "length: 8, start: stream")
        + LSTM
        + "objective: {language_model: {carry: true}}\n"
        + CROSS
        + END,
        DIGITS + GAN + "sampling: {count: 4}\n" + END,
        DIGITS + VAE + "sampling: [{count: 4}, {source: reconstruction}]\n" + END,
        DIGITS + STUDENT + END,
        PAIRS + FAR + "loss: {contrastive: {same_label: 1}}\nevaluation: {metrics: [loss]}\n" + END,
        DIGITS + GAN + "regularization: [{gradient_penalty: 10}, {r1: 1.0}]\n" + END,
        DIGITS + CLASSES + CROSS + "regularization: [{gradient_penalty: {at: real}}, {jacobian: 0.1}]\n" + END,
        NOISE + END,
        DIGITS + "model: {layers: [{linear: 64}]}\nobjective: autoencoder\nloss: mse\nsampling: {count: 4}\n" + END,
        DIGITS + CLASSES + CROSS + "phases: [{epochs: 1, optimizer: {sgd: 0.1}}, {steps: 3, optimizer: adam}]\n",
    ],
)
def test_what_the_objectives_ask_for_is_no_mistake(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert validated(tmp_path / "c.yaml") == []


@pytest.mark.parametrize(
    ("data", "training"),
    [
        ("batch_size: full", "{epochs: 2}"),
        ("batch_size: 2000", "{epochs: 2}"),
        ("batch_size: 300", "{epochs: 2, accumulate: 4}"),  # 1078 samples train
    ],
)
@pytest.mark.parametrize("layer", ["relu", "{dropout: 0.0}"])
def test_lbfgs_on_a_function_that_stays_is_no_mistake(data: str, training: str, layer: str, tmp_path: Path) -> None:
    changes = [("batch_size: 64", data), ("{epochs: 2}", training), ("sgd: {lr: 0.1}", "lbfgs: {line_search: none}")]
    assert validated(written([*changes, ("relu", layer)], tmp_path / "good.yaml")) == []


def test_messages_are_those_of_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = "\n\n".join(
        render(problem)
        for name, (changes, *_) in CASES.items()
        for problem in validated(written(changes, Path(f"{name}.yaml")))
    )
    for name, (text, *_) in TEXTS.items():
        Path(f"{name}.yaml").write_text(text)
        shown += "".join(f"\n\n{render(problem)}" for problem in validated(Path(f"{name}.yaml")))
    if os.environ.get("GRADTRAIN_REGENERATE"):
        SNAPSHOT.write_text(shown + "\n")
    assert shown + "\n" == SNAPSHOT.read_text()


def test_all_problems_of_a_file_come_at_once_and_sorted(tmp_path: Path) -> None:
    changes = [
        ("source: digits", "source: digitz"),
        ("batch_size: 64", "batchsize: 64"),
        ("epochs: 2", "epochs: 1.5"),
        ("sgd: {lr: 0.1}", "sgd: {lr: -1}"),
    ]
    found = validated(written(changes, tmp_path / "many.yaml"))
    assert [(p.code, p.at.line) for p in found if p.at] == [
        ("unknown-component", 3),
        ("unknown-key", 6),
        ("out-of-range", 10),
        ("wrong-type", 11),
    ]
