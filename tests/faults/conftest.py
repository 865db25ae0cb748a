"""Small runs for processes that are killed, and what is left of a run to compare."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gradtrain.problems import Problem

CONFIGS = {
    "dropout-noise-plateau": """
name: dropout
device: cpu
data:
  source: {moons: {count: 240, noise: 0.25}}
  split: {val: 0.25, test: 0.25, stratify: true}
  transforms: [standardize]
  augment: [{noise: 0.1}]
  batch_size: 12
model: {layers: [{linear: 24}, relu, {dropout: 0.3}, {linear: 24}, tanh, {dropout: 0.2}, {linear: 2}]}
loss: cross_entropy
optimizer: {adam: {lr: 0.02}}
schedule: {plateau: {factor: 0.5, patience: 1}, by: epoch}
training: {epochs: 8, clip_norm: 0.5}
evaluation: {metrics: [accuracy]}
checkpoint: {every: 7 steps, best: val.loss}
logging: {every: 1 step}
""",
    "conv-crop-flip-batch-norm": """
name: conv
device: cpu
data:
  source: digits
  split: {train: 256, val: 60, test: 60}
  transforms: [to_float]
  augment: [{random_crop: {size: 8, padding: 1}}, random_flip]
  batch_size: 16
normalization: batch_norm
model: {layers: [{conv: {out: 4, kernel: 3, bias: false}}, norm, relu, {max_pool: 2}, flatten, {linear: 10}]}
loss: cross_entropy
optimizer: {momentum: 0.05}
schedule: {one_cycle: {max_lr: 0.1}, by: step}
training: {epochs: 9, accumulate: 2}
checkpoint: {every: 3 steps, best: val.loss}
logging: {every: 1 step}
""",
    "average-of-the-weights": """
name: average
device: cpu
data:
  source: {spirals: {}}
  split: {val: 0.2, test: 0.2}
  batch_size: 20
model:
  layers: [{linear: 16}, tanh, {dropout: 0.1}, {linear: {out: 16, bias: false}}, batch_norm, relu, {linear: 2}]
loss: cross_entropy
regularization: [{l2: 1e-3, form: decoupled}]
optimizer: {adam: {lr: 0.01}}
schedule: {cosine: {min_lr: 1e-4}, by: epoch}
training: {epochs: 12, ema: 0.95, clip_value: 0.1}
evaluation: {every: 5 steps, metrics: [accuracy], use_ema: true}
checkpoint: {every: 6 steps, best: val.accuracy}
logging: {every: 2 steps}
""",
    "early-stopping": """
name: stopping
device: cpu
data:
  source: {moons: {count: 120, noise: 0.35}}
  split: {val: 0.3, test: 0.2}
  augment: [{noise: 0.2}]
  batch_size: 6
model: {layers: [{linear: 32}, relu, {dropout: 0.4}, {linear: 2}]}
loss: cross_entropy
optimizer: {sgd: {lr: 0.1, momentum: 0.8, nesterov: true}}
schedule: {exponential: 0.99, by: epoch}
training: {epochs: 500}
evaluation: {every: 4 steps}
checkpoint: {every: 5 steps, keep: 2}
early_stopping: {patience: 25, watch: val.loss}
logging: {every: 1 step}
""",
}


class Silent:
    """A display that shows nothing and remembers what it was warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def begin(self, plan: Any) -> None: ...

    def wants(self, number: int) -> bool:
        return False

    detailed = False

    def step(self, number: int, loss: float, rate: float, norm: float | None, norms: Mapping[str, float]) -> None: ...

    def evaluated(self, number: int, split: str, values: Mapping[str, Any]) -> None: ...

    def saved(self, number: int, path: str, best: bool) -> None: ...

    def warn(self, problem: Problem) -> None:
        self.warnings.append(problem.code)

    def found(self, line: Mapping[str, Any]) -> None: ...

    def health(self, lines: Any) -> None: ...

    def end(self, state: str, reason: str, results: Any, seconds: float, number: int) -> None: ...


@pytest.fixture(scope="session")
def configs() -> Mapping[str, str]:
    """Kind of run → its config.

    Together: dropout, augmentation, momentum and Adam, schedules, the average of the weights, accumulation, early
    stopping, buffers, clipping.
    """
    return CONFIGS


@pytest.fixture(scope="session")
def silent() -> Callable[[], Silent]:
    """Makes displays that show nothing."""
    return Silent


@pytest.fixture(scope="session")
def journal_of() -> Callable[[Path], list[dict[str, Any]]]:
    """The journal of a run's folder without its clock."""

    def lines_of(folder: Path) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
        return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]

    return lines_of
