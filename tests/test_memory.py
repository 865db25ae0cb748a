"""What decides which step was best, and when patience runs out."""

from __future__ import annotations

import math

import pytest

from gradtrain.config.load import read
from gradtrain.config.sections import Run
from gradtrain.memory import Memory, number_at

CONFIG = """\
name: small
data: {{source: blobs, split: {{val: 0.2}}}}
model: {{layers: [{{linear: $data.classes}}]}}
loss: cross_entropy
optimizer: {{sgd: 0.1}}
training: {{epochs: 1}}
evaluation: {{metrics: [accuracy]}}
{more}
"""


@pytest.fixture
def config(tmp_path):
    def made(more: str = "") -> Run:
        (tmp_path / "c.yaml").write_text(CONFIG.format(more=more))
        config = read(tmp_path / "c.yaml")
        return config.run(config.data().source.facts())

    return made


def judged(memory: Memory, run: Run, values: list[float], metric: str = "loss") -> list[tuple[bool, bool]]:
    """(whether the best value improved, whether patience is out) after each of the values."""
    modes = {"loss": "min", "accuracy": "max"}
    return [
        (memory.judged(run, f"val.{metric}", modes, {"val": {metric: value}}, step), memory.patience_is_out(run))
        for step, value in enumerate(values, 1)
    ]


def test_the_best_is_the_smallest_loss(config) -> None:
    memory = Memory()
    told = judged(memory, config(), [3.0, 2.0, 2.0, 2.5, 1.0])
    assert [improved for improved, _ in told] == [True, True, False, False, True]
    assert (memory.best, memory.best_step) == (1.0, 5)


def test_a_metric_knows_its_better_way_and_the_config_may_know_better(config) -> None:
    memory = Memory()
    judged(memory, config(), [0.1, 0.9, 0.5], "accuracy")
    assert memory.best_step == 2
    memory = Memory()
    judged(memory, config("checkpoint: {best: val.accuracy, mode: min}"), [0.1, 0.9, 0.5], "accuracy")
    assert memory.best_step == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_the_best(config, bad: float) -> None:
    memory = Memory()
    assert [improved for improved, _ in judged(memory, config(), [bad, 2.0, bad])] == [False, True, False]
    assert memory.best == 2.0


def test_patience_counts_evaluations_without_improvement(config) -> None:
    run = config("early_stopping: {patience: 2}")
    memory = Memory()
    assert [out for _, out in judged(memory, run, [3.0, 2.0, 2.0, 1.5, 1.6, 1.7])] == [False] * 5 + [True]
    assert memory.patience_is_out(run)
    assert Memory(**vars(memory)) == memory  # as a checkpoint keeps it
    assert not memory.patience_is_out(config())


def test_a_value_that_was_not_measured_is_nan() -> None:
    measured = {"val": {"loss": 1.5, "confusion": [[1.0]]}}
    assert number_at(measured, "val.loss") == 1.5
    assert all(math.isnan(number_at(measured, name)) for name in ("val.accuracy", "test.loss", "val.confusion"))
