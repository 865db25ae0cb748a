"""The check-up before a run."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from gradtrain.config.load import read
from gradtrain.diagnostics.checkup import Diagnosis, Keeping, examined, judged
from gradtrain.start import prepare
from gradtrain.training.evaluation import measure
from gradtrain.training.loop import train
from gradtrain.training.timed import PARTS

MOONS = """
name: moons
device: cpu
data: {source: {moons: {count: 300, noise: 0.2}}, split: {val: 0.2}, batch_size: 20}
model: {layers: [{linear: 32}, relu, {dropout: 0.1}, batch_norm, {linear: 2}]}
loss: cross_entropy
regularization: [{l2: 1e-3}]
optimizer: {adam: {lr: LR}}
training: {epochs: 100, ema: 0.9, clip_norm: 1.0}
"""


def prepared(text: str, folder: Path) -> tuple[Any, Any, Any]:
    (folder / "c.yaml").write_text(text)
    return prepare(read(folder / "c.yaml"), folder)


def of(text: str, folder: Path, seconds: float = 3.0) -> Diagnosis:
    with torch.random.fork_rng(devices=[]):
        return examined(*prepared(text, folder), seconds)


def test_what_is_said_of_a_healthy_run(tmp_path: Path) -> None:
    found = of(MOONS.replace("LR", "0.01"), tmp_path)
    assert found.uniform == pytest.approx(math.log(2))
    assert 0.3 < found.total < 1.5
    assert set(found.cost.shares) == set(PARTS)
    assert sum(found.cost.shares.values()) == pytest.approx(1, abs=0.3)
    assert min(found.cost.shares.values()) > 0
    assert found.cost.steps == 1200
    assert found.cost.training == pytest.approx(found.cost.step * 1200)
    parameters = 2 * 32 + 32 + 2 * 32 + 32 * 2 + 2
    buffers = 2 * 32
    assert found.cost.weights == 4 * (parameters + buffers) + 8
    assert found.cost.optimizer >= 2 * 4 * parameters
    assert 0 < found.cost.graph < 1 << 20 < found.cost.peak
    assert found.watched >= 1


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    """A run that was looked at trains to the same bits, dropout and moving averages included."""

    def weights(look: bool) -> list[torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            run, parts, warnings = prepared(MOONS.replace("LR", "0.01"), tmp_path)
            if look:
                examined(run, parts, warnings, 1.0)
            else:
                parts.phases[0].begin()
            list(train(**parts.arguments(parts.phases[0]), steps=5))
            return [p.detach().clone() for p in parts.networks["model"].parameters()]

    assert all(torch.equal(a, b) for a, b in zip(weights(True), weights(False), strict=True))


@pytest.mark.parametrize(
    ("lr", "says"),
    [("0.3", "in the range"), ("100.0", "diverges"), ("1e-9", "far below")],
    ids=["fit", "large", "small"],
)
def test_the_range_test_judges_the_rate(lr: str, says: str, tmp_path: Path) -> None:
    text = MOONS.replace("LR", lr).replace("adam: {", "sgd: {").replace(", clip_norm: 1.0", "")
    sweep = of(text.replace("batch_norm, ", ""), tmp_path, 8.0).sweep
    assert sweep.rates == tuple(sorted(sweep.rates))
    assert len(sweep.rates) == len(sweep.losses) > 10
    assert says in sweep.says


def test_what_a_range_test_says() -> None:
    rates = [10.0**-i for i in range(6, 0, -1)]
    falling = [1.0, 1.0, 0.9, 0.4, 0.5, 3.0]
    found = judged(rates, falling, 0.1, 1e-4)
    assert found.steepest == pytest.approx(1e-3)
    assert found.diverges == 0.1
    assert "in the range" in found.says
    assert "close to" in judged(rates, falling, 0.1, 0.05).says
    assert "beyond" in judged(rates, falling, 0.1, 0.1).says
    assert "far below" in judged(rates, falling, 0.1, 1e-6).says
    assert "falls at no rate" in judged(rates, [1.0] * 6, None, 1e-4).says
    assert "beyond" in judged([], [], 1e-9, 1e-4).says


LBFGS = """
name: line
device: cpu
data: {source: {linear: {count: 60}}, split: {val: 0.2}, batch_size: full}
model: {layers: [{linear: 1}]}
loss: mse
optimizer: lbfgs
training: {steps: 2}
"""


def test_a_rule_that_searches_has_no_range_test(tmp_path: Path) -> None:
    found = of(LBFGS, tmp_path, 1.0)
    assert found.sweep.rates == ()
    assert "several times a step" in found.sweep.says
    assert found.watched == 2


def test_numbers_that_are_not_finite_are_a_finding(tmp_path: Path) -> None:
    text = (
        MOONS.replace("adam: {lr: LR}", "sgd: {lr: 1e30}").replace(", clip_norm: 1.0", "").replace("batch_norm, ", "")
    )
    found = of(text, tmp_path, 1.0)
    assert "nonfinite" in [line["name"] for line in found.findings]
    assert math.isnan(found.cost.step) or found.cost.step > 0


def test_what_graphs_keep_is_counted_while_they_live() -> None:
    """A rule that evaluates the loss several times a step holds one graph after the other."""
    weight = torch.ones(100, requires_grad=True)
    x = torch.rand(100)
    keeping = Keeping([weight])
    with keeping:
        for _ in range(3):
            (weight * x).exp().sum().backward()
    assert keeping.size == 4 * (100 + 100)  # x, and the result of exp
    keeping = Keeping([weight])
    with keeping:
        both = (weight * x).exp().sum() + (weight * x).exp().sum()
        both.backward()
    assert keeping.size == 4 * (100 + 100 + 100)


def test_a_phase_that_searches_counts_by_its_evaluations(tmp_path: Path) -> None:
    phases = "phases:\n  - {steps: 30, optimizer: {sgd: 0.01}}\n  - {steps: 2, optimizer: {lbfgs: {max_iter: 7}}}\n"
    cost = of(LBFGS.replace("optimizer: lbfgs\ntraining: {steps: 2}\n", phases), tmp_path, 1.0).cost
    assert cost.training == pytest.approx(cost.step * (30 + 2 * 7))


def test_an_evaluation_of_a_text_takes_the_windows_that_are_measured(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("the quick brown fox jumps over the lazy dog " * 400)
    text = """
name: text
device: cpu
data: {source: {text: {path: t.txt}}, split: {val: 0.5}, windows: {length: 32}, batch_size: 4}
model: {rnn_lm: {cell: gru, width: 4, size: 4, vocab: $data.vocab}}
objective: language_model
loss: cross_entropy
optimizer: {sgd: 0.1}
training: {steps: 10}
evaluation: {every: 10 steps}
"""
    run, parts, warnings = prepared(text, tmp_path)
    began = time.perf_counter()
    for _ in range(5):
        measure(
            parts.task, parts.networks, parts.splits["val"], parts.metrics, parts.kind, parts.facts, parts.precision
        )
    whole = (time.perf_counter() - began) / 5
    assert examined(run, parts, warnings, 1.0).cost.evaluating < 4 * whole
