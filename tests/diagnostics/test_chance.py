"""The loss without looking at the input, against answers that can be reckoned by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from gradtrain.config.load import read
from gradtrain.diagnostics.chance import Chance, constant_answers
from gradtrain.start import prepare

CONFIG = """
name: run
data:
  source: {{npz: {{path: data.npz}}}}
  target: {{kind: {kind}}}
  split: {{val: 4, order: contiguous}}
  batch_size: 8
model: {{layers: [{{linear: {out}}}]}}
loss: {loss}
optimizer: {{sgd: 0.1}}
training: {{steps: 1}}
"""

TRAIN = {"value": [0.0, 0, 0, 1, 1, 1, 4, 9], "pm1": [1, 1, 1, 1, 1, 1, 0, 0], "class": [0, 0, 0, 0, 1, 1, 2, 2]}
VAL = {"value": [0.0, 0, 2, 2], "pm1": [1, 1, 0, 0], "class": [0, 1, 0, 1]}


def chance(folder: Path, kind: str, loss: str) -> Chance:
    y = np.array(TRAIN[kind] + VAL[kind])
    x = np.random.default_rng(0).normal(size=(12, 3))
    np.savez(folder / "data.npz", x=x.astype(np.float32), y=y.astype(np.float32) if kind == "value" else y)
    (folder / "c.yaml").write_text(CONFIG.format(kind=kind, loss=loss, out=3 if kind == "class" else 1))
    run, parts, _ = prepare(read(folder / "c.yaml"), folder)
    return constant_answers(run, parts)


ENTROPY = math.log(2) / 2 + 2 * math.log(4) / 4
SMOOTH = [0.9 * share + 0.1 / 3 for share in (0.5, 0.25, 0.25)]


@pytest.mark.parametrize(
    ("kind", "loss", "train", "val"),
    [
        ("value", "mse", 8.5, 1.0),
        ("value", "mae", 14 / 8, 1.0),
        ("value", "{quantile: 0.5}", 7 / 8, 0.5),
        ("value", "{huber: 100.0}", 4.25, 0.5),
        ("pm1", "hinge", 0.5, 1.0),
        ("pm1", "squared_hinge", 0.75, 1.0),
        ("class", "cross_entropy", ENTROPY, math.log(2)),
        ("class", "{cross_entropy: {label_smoothing: 0.1}}", -sum(q * math.log(q) for q in SMOOTH), None),
    ],
)
def test_the_best_constant(kind: str, loss: str, train: float, val: float | None, tmp_path: Path) -> None:
    found = chance(tmp_path, kind, loss)
    assert found.train == pytest.approx(train, rel=1e-6)
    if val is not None:
        assert found.val == pytest.approx(val, rel=1e-6)
    assert found.uniform == (pytest.approx(math.log(3)) if kind == "class" else None)


@pytest.mark.parametrize("loss", ["{cross_entropy: {weights: [1.0, 2.0, 1.0]}}", "{mse: {reduce: sum}}"])
def test_a_loss_that_weighs_samples_has_none(loss: str, tmp_path: Path) -> None:
    assert chance(tmp_path, "value" if "mse" in loss else "class", loss).train is None
