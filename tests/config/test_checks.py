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


def test_messages_are_those_of_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = "\n\n".join(
        render(problem)
        for name, (changes, *_) in CASES.items()
        for problem in validated(written(changes, Path(f"{name}.yaml")))
    )
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
