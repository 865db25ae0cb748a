"""Numbers that are none: they are found before the step, named, left out or gone back from, and never saved."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain.components.objectives import Terms
from gradtrain.components.objectives.supervised import _Supervised
from gradtrain.problems import Problem
from gradtrain.replay import replayed
from gradtrain.start import start
from gradtrain.storage import checkpoint

CONFIG = """
name: numbers
device: cpu
data:
  source: {moons: {count: 120, noise: 0.2}}
  split: {val: 0.2}
  augment: [{noise: 0.1}]
  batch_size: 12
model: {layers: [{linear: {out: 12, bias: false}}, batch_norm, relu, {dropout: 0.2}, {linear: 2}]}
loss: cross_entropy
optimizer: {adam: {lr: 0.02}}
training: {steps: 40}
checkpoint: {every: 7 steps}
evaluation: {every: 10 steps}
logging: {every: 1 step}
"""
STEPS = 40


@pytest.fixture(autouse=True)
def undisturbed() -> Iterator[None]:
    """Runs seed torch's global generator; whoever comes next finds it as it was."""
    with torch.random.fork_rng(devices=[]):
        yield


class Broken(torch.autograd.Function):
    """The identity, with a gradient that is not finite."""

    @staticmethod
    def forward(context: Any, x: Tensor, value: float) -> Tensor:
        context.value = value
        return x.clone()

    @staticmethod
    def backward(context: Any, g: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return g * context.value, None


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the loss of some steps (counted from 1), or only its gradient, another number."""

    def put(steps: Mapping[int, float], *, gradient: bool = False, task: Any = _Supervised, update: str = "") -> None:
        losses, begin = task.losses, task.begin

        def begun(self: Any, number: int) -> None:
            self.number = number + 1
            begin(self, number)

        def poisoned(self: Any, name: str, networks: Any, batch: Any) -> Terms:
            terms = losses(self, name, networks, batch)
            value = steps.get(self.number)
            if value is None or (update and update != name):
                return terms
            return Terms(Broken.apply(terms.total, value) if gradient else terms.total * value, terms.losses)

        monkeypatch.setattr(task, "begin", begun)
        monkeypatch.setattr(task, "losses", poisoned)

    return put


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """A config with some of its text replaced."""

    def written(*changes: tuple[str, str], text: str = CONFIG) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return written


def policy(text: str) -> tuple[str, str]:
    return "training: {", f"training: {{on_nonfinite: {text}, "


def refused(call: Callable[[], Any]) -> Problem:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value


def tensors(folder: Path, step: int = STEPS) -> dict[str, Tensor]:
    return checkpoint.load(folder / "checkpoints", step).tensors


def all_finite(folder: Path) -> bool:
    kept = [tensors(folder, step) for step in checkpoint.steps(folder / "checkpoints")]
    return all(bool(t.isfinite().all()) for found in kept for t in found.values() if t.is_floating_point())


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def found(folder: Path, config: Path, silent: Any, step: int, what: str) -> None:
    """A poisoned step is the one that the run stops at, and nothing bad is saved."""
    problem = refused(lambda: start(config, folder=folder, shown=silent()))
    assert (problem.code, problem.exit_code) == ("nonfinite", 4)
    assert f"{what} is" in problem.what
    assert f"at step {step}," in problem.what
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["step"], status["exit_code"]) == ("failed", step - 1, 4)
    assert all_finite(folder)
    assert replayed(folder).exit_code == 4


def several(quick: int, all_of_them: int) -> list[Any]:
    """Numbers of tries, those behind `quick` in the slow run only."""
    return [*range(quick), *(pytest.param(i, marks=pytest.mark.slow) for i in range(quick, all_of_them))]


@pytest.mark.parametrize("clip", ["", ", clip_norm: 1.0"])
@pytest.mark.parametrize("number", several(3, 25))
def test_f42_a_loss_that_is_not_finite_stops_before_the_step(
    number: int, clip: str, tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    step = random.Random(f"loss {number}{clip}").randint(1, STEPS)
    poison({step: [float("nan"), float("inf")][number % 2]})
    found(tmp_path / "run", config(("steps: 40", f"steps: 40{clip}")), silent, step, "the loss")


@pytest.mark.parametrize("clip", ["", ", clip_norm: 1.0", ", clip_value: 1.0", ", accumulate: 3", ", ema: 0.9"])
@pytest.mark.parametrize("number", several(2, 10))
def test_f43_a_gradient_that_is_not_finite_under_a_finite_loss_stops_before_the_step(
    number: int, clip: str, tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    step = random.Random(f"gradient {number}{clip}").randint(1, STEPS)
    poison({step: [float("nan"), float("inf"), -float("inf")][number % 3]}, gradient=True)
    found(tmp_path / "run", config(("steps: 40", f"steps: 40{clip}")), silent, step, "the norm of the gradient")
