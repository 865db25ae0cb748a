"""Numbers that are none: they are found before the step, named, left out or gone back from, and never saved."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain.components.objectives import Terms
from gradtrain.components.objectives.gan import _Gan
from gradtrain.components.objectives.supervised import _Supervised
from gradtrain.nonfinite import OVERFLOWS
from gradtrain.problems import Problem
from gradtrain.replay import replayed
from gradtrain.start import go_on, start
from gradtrain.storage import checkpoint
from gradtrain.training.precision import Float16

from .rig import journal_of

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


def tensors(folder: Path, step: int | None = None) -> dict[str, Tensor]:
    """What a checkpoint holds; by default the last one."""
    root = folder / "checkpoints"
    return checkpoint.load(root, max(checkpoint.steps(root)) if step is None else step).tensors


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


def test_f44_numbers_that_are_not_finite_reach_no_checkpoint(
    tmp_path: Path, config: Any, silent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, their average and the optimizer's memory, each lost after a sound step."""
    from gradtrain.training.update import Update

    step = Update.step
    for name in ("weights", "average", "memory"):

        def spoilt(self: Any, *rest: Any, name: str = name) -> None:
            step(self, *rest)
            self.made = getattr(self, "made", 0) + 1
            if self.made == 21:  # the last one before a checkpoint
                lost = {
                    "weights": self.detached[0],
                    "average": self.mean[0],
                    "memory": self.optimizer.state[self.parameters[0]]["exp_avg"],
                }
                lost[name].view(-1)[0] = float("nan")

        monkeypatch.setattr(Update, "step", spoilt)
        folder = tmp_path / name
        path = config(("steps: 40", "steps: 40, ema: 0.9"), ("every: 10 steps", "every: 40 steps"))
        problem = refused(lambda folder=folder, path=path: start(path, folder=folder, shown=silent()))  # type: ignore[misc]
        assert (problem.code, problem.exit_code) == ("nonfinite-weights", 4)
        assert checkpoint.steps(folder / "checkpoints") == [7, 14]
        assert all_finite(folder)


def test_f46_a_step_that_is_skipped_was_never_tried(tmp_path: Path, config: Any, poison: Any, silent: Any) -> None:
    """Weights, buffers and random numbers go on from where they were, and a resumed run leaves out the same steps."""
    path = config(policy("{skip: {share: 0.1}}"))
    poison({9: float("nan"), 10: float("inf"), 25: float("nan")})
    shown = silent()
    assert start(path, folder=tmp_path / "a", shown=shown).state == "finished"
    assert shown.warnings.count("nonfinite") == 3
    left_out = [line for line in journal_of(tmp_path / "a") if line["kind"] == "nonfinite"]
    assert [(line["step"], line["skipped"], line["value"]) for line in left_out] == [
        (9, 1, "nan"), (10, 2, "inf"), (25, 3, "nan"),
    ]  # fmt: skip
    assert [line["step"] for line in journal_of(tmp_path / "a") if line["kind"] == "step"] == [*range(1, STEPS + 1)]
    assert all_finite(tmp_path / "a")
    resumed(tmp_path, path, silent, after=(7, 14, 21))


def test_f46_skipping_changes_nothing_but_the_number_of_the_step(
    tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    path = config(policy("skip"), ("steps: 40", "steps: 9"), ("every: 7 steps", "every: 1 steps"))
    poison({9: float("nan")})
    start(path, folder=tmp_path / "a", shown=silent())
    assert same(tensors(tmp_path / "a", 8), tensors(tmp_path / "a", 9))


def test_f46_patience_with_skipping_ends(tmp_path: Path, config: Any, poison: Any, silent: Any) -> None:
    poison({step: float("nan") for step in range(11, 30)})
    folder = tmp_path / "row"
    problem = refused(lambda: start(config(policy("{skip: {in_a_row: 4}}")), folder=folder, shown=silent()))
    assert (problem.code, problem.exit_code) == ("nonfinite", 4)
    assert "at step 15," in problem.what
    assert "4 steps in a row were left out" in problem.why
    poison({step: float("nan") for step in range(2, 30, 2)})
    folder = tmp_path / "share"
    problem = refused(lambda: start(config(policy("{skip: {in_a_row: 2}}")), folder=folder, shown=silent()))
    assert "at step 6," in problem.what
    assert all_finite(folder)


def test_f46_a_run_goes_back_and_leaves_out_the_data_that_led_there(
    tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    path = config(policy("{rollback: {rate: 0.5}}"))
    poison({18: float("nan"), 30: float("inf")})
    assert start(path, folder=tmp_path / "a", shown=silent()).state == "finished"
    lines = journal_of(tmp_path / "a")
    back = [(line["step"], line["to"], line["rollbacks"]) for line in lines if line["kind"] == "nonfinite"]
    assert back == [(18, 14, 1), (30, 28, 2)]
    rates = {line["step"]: line["lr"] for line in lines if line["kind"] == "step"}
    assert [rates[step] for step in (17, 19, 29, 31)] == [0.02, 0.01, 0.01, 0.005]
    assert [*rates] == [*range(1, STEPS + 1)]
    resumed(tmp_path, path, silent, after=(7, 14, 21))


def test_f46_what_was_gone_back_to_is_what_the_checkpoint_held(
    tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    path = config(policy("rollback"), ("steps: 40", "steps: 12"))
    poison({12: float("nan")})
    start(path, folder=tmp_path / "a", shown=silent())
    (back,) = [line["to"] for line in journal_of(tmp_path / "a") if line["kind"] == "nonfinite"]
    assert 7 <= back < 12
    assert same(tensors(tmp_path / "a", back), tensors(tmp_path / "a", 12))


def test_f47_a_run_goes_back_three_times_and_no_more(tmp_path: Path, config: Any, poison: Any, silent: Any) -> None:
    poison({step: float("nan") for step in range(1, STEPS + 1)}, gradient=True)
    shown = silent()
    problem = refused(lambda: start(config(policy("rollback")), folder=tmp_path / "a", shown=shown))
    assert (problem.code, problem.exit_code) == ("nonfinite", 4)
    assert "at step 4," in problem.what
    assert "went back 3 times" in problem.why
    assert shown.warnings.count("nonfinite") == 3


def resumed(place: Path, path: Path, silent: Any, after: tuple[int, ...]) -> None:
    """A run that is stopped after a checkpoint and resumed ends as `place / "a"` did, which nobody stopped."""

    class Halted(Exception):
        pass

    for step in after:

        class Halting(type(silent())):  # type: ignore[misc]
            def saved(self, number: int, path: str, best: bool, step: int = step) -> None:
                if number == step:
                    raise Halted

        folder = place / f"after-{step}"
        with pytest.raises(Halted):
            start(path, folder=folder, shown=Halting())
        assert go_on(folder, shown=silent()).state == "finished"
        assert same(tensors(place / "a"), tensors(folder))
        assert journal_of(folder) == journal_of(place / "a")


GAN = """
name: game
device: cpu
data: {source: {moons: {count: 128}}, batch_size: 32}
models:
  generator: {input: 4, layers: [{linear: 8}, batch_norm, relu, {linear: 2}]}
  discriminator: {layers: [{linear: 8}, leaky_relu, {linear: 1}]}
objective: {gan: {latent: 4}}
optimizer: {adam: {lr: 0.01}}
training: {steps: 20}
checkpoint: {every: 5 steps}
evaluation: {every: 20 steps}
logging: {every: 1 step}
"""

OTHERS = {
    "sam": ("adam: {lr: 0.02}", "sam: {lr: 0.02}"),
    "schedule-free": ("adam: {lr: 0.02}", "schedule_free: {lr: 0.02}"),
    "accumulate": ("steps: 40", "steps: 40, accumulate: 3"),
    "clip": ("steps: 40", "steps: 40, clip_norm: 0.5, ema: 0.9"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("chosen", ["skip", "{rollback: {rate: 0.5}}"])
def test_f46_both_policies_work_with(
    kind: str, chosen: str, tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    path = config(OTHERS[kind], policy(chosen))
    poison({12: float("nan"), 26: float("nan")}, gradient=True)
    assert start(path, folder=tmp_path / "a", shown=silent()).state == "finished"
    assert len([line for line in journal_of(tmp_path / "a") if line["kind"] == "nonfinite"]) == 2
    resumed(tmp_path, path, silent, after=(14,))


def test_f46_lbfgs_goes_back_with_a_smaller_rate(tmp_path: Path, config: Any, poison: Any, silent: Any) -> None:
    path = config(
        ("adam: {lr: 0.02}", "lbfgs: {lr: 0.5, max_iter: 3}"), ("batch_size: 12", "batch_size: full"),
        policy("{rollback: {rate: 0.5}}"), ("{dropout: 0.2}, ", ""), ("  augment: [{noise: 0.1}]\n", ""),
    )  # fmt: skip
    poison({12: float("nan")})
    assert start(path, folder=tmp_path / "a", shown=silent()).state == "finished"
    resumed(tmp_path, path, silent, after=(7,))


@pytest.mark.parametrize("update", ["generator", "discriminator"])
@pytest.mark.parametrize("chosen", ["skip", "rollback"])
def test_f46_both_policies_work_with_several_updates(
    update: str, chosen: str, tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    path = config(policy(chosen), text=GAN)
    poison({8: float("nan")}, task=_Gan, update=update)
    assert start(path, folder=tmp_path / "a", shown=silent()).state == "finished"
    assert [line["step"] for line in journal_of(tmp_path / "a") if line["kind"] == "nonfinite"] == [8]
    assert journal_of(tmp_path / "a")


@pytest.mark.parametrize("update", ["generator", "discriminator"])
def test_a_step_of_several_updates_is_replayed_from_the_last_checkpoint(
    update: str, tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    poison({8: float("nan")}, task=_Gan, update=update)
    refused(lambda: start(config(text=GAN), folder=tmp_path / "a", shown=silent()))
    again = replayed(tmp_path / "a")
    assert (again.exit_code, again.step, again.start) == (4, 8, 5)


PHASES = """
name: phases
device: cpu
data: {source: {moons: {count: 120}}, batch_size: 12}
model: {layers: [{linear: 8}, relu, {linear: 2}]}
loss: cross_entropy
phases:
  - {steps: 10, optimizer: {adagrad: {lr: 0.05}}}
  - {steps: 10, optimizer: {adagrad: {lr: 0.05}}}
training: {ema: 0.9}
checkpoint: {every: 8 steps}
evaluation: {every: 20 steps}
logging: {every: 1 step}
"""


def test_f46_a_run_goes_back_into_the_phase_before(tmp_path: Path, config: Any, poison: Any, silent: Any) -> None:
    path = config(policy("rollback"), text=PHASES)
    poison({14: float("nan")})
    assert start(path, folder=tmp_path / "a", shown=silent()).state == "finished"
    counts = [float(value) for name, value in tensors(tmp_path / "a", 20).items() if name.endswith(".step")]
    assert set(counts) == {6.0}  # the steps 15 to 20: the optimizer of the second phase began anew
    resumed(tmp_path, path, silent, after=(8,))


DIVERGING = """
name: diverging
device: cpu
data: {source: {linear: {count: 64}}, batch_size: 8}
model: {layers: [{linear: 8}, relu, {linear: 1}]}
loss: mse
optimizer: {sgd: {lr: 1e4}}
training: {epochs: 8}
checkpoint: {every: 1 steps}
"""


def test_a_crash_names_what_is_needed_to_understand_it(tmp_path: Path, config: Any, silent: Any) -> None:
    problem = refused(lambda: start(config(text=DIVERGING), folder=tmp_path / "a", shown=silent()))
    step = max(checkpoint.steps(tmp_path / "a" / "checkpoints")) + 1
    assert f"at step {step}, in epoch 1: the update was not made" in problem.what
    assert "gave inf in" in problem.why
    assert "learning rate 1e+04;" in problem.why
    assert "samples of the batch " in problem.why
    assert f"the last good checkpoint is of step {step - 1}" in problem.why
    assert "gradtrain replay" in problem.help
    again = replayed(tmp_path / "a")
    assert (again.exit_code, again.step, again.start, again.same_data) == (4, step, step - 1, True)
    assert str(again.found) in problem.why
    assert again.as_json()["operations"][0]["gave"] == "inf"


def test_a_crash_that_does_not_fit_is_told_all_the_same(
    tmp_path: Path, config: Any, silent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too large is left out, and the last checkpoint leads to the step as well."""
    monkeypatch.setattr("gradtrain.nonfinite.crash.LARGEST", 100)
    refused(lambda: start(config(("every: 1 steps", "every: 2 steps"), text=DIVERGING), folder=tmp_path / "a"))
    again = replayed(tmp_path / "a")
    assert again.exit_code == 4
    assert again.start in (again.step - 1, again.step - 2)


def test_a_replay_is_exact_and_writes_nothing(tmp_path: Path, config: Any, poison: Any, silent: Any) -> None:
    """Without the fault the step goes well, and the weights after it are those of a run that never had it."""
    with pytest.MonkeyPatch.context() as patch:
        losses = _Supervised.losses
        calls = 0

        def failing(self: Any, name: str, networks: Any, batch: Any) -> Terms:
            nonlocal calls
            calls += 1
            terms = losses(self, name, networks, batch)
            return Terms(terms.total * float("nan"), terms.losses) if calls >= 8 else terms

        patch.setattr(_Supervised, "losses", failing)
        refused(lambda: start(config(), folder=tmp_path / "a", shown=silent()))
    before = {p: p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()}
    again = replayed(tmp_path / "a")
    assert (again.exit_code, again.step, again.found.error) == (0, 8, None)
    assert again.doubts
    assert {p: p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()} == before


def test_a_run_without_a_crash_has_nothing_to_replay(tmp_path: Path, config: Any, silent: Any) -> None:
    start(config(("steps: 40", "steps: 2")), folder=tmp_path / "a", shown=silent())
    problem = refused(lambda: replayed(tmp_path / "a"))
    assert (problem.code, problem.exit_code) == ("nothing-to-replay", 2)


@pytest.mark.parametrize("number", several(4, 20))
def test_f45_a_spike_of_the_gradient_is_told_once(
    number: int, tmp_path: Path, config: Any, poison: Any, silent: Any
) -> None:
    step = random.Random(f"spike {number}").randint(22, STEPS)
    poison({step: 3e4})
    shown = silent()
    path = config(("steps: 40", "steps: 40, clip_norm: 1.0"), ("name: numbers", f"name: numbers\nseed: {number}"))
    start(path, folder=tmp_path / "a", shown=shown)
    assert shown.warnings.count("gradient-spike") == 1
    assert [line["step"] for line in journal_of(tmp_path / "a") if line["kind"] == "spike"] == [step]


@pytest.mark.parametrize("number", several(4, 20))
def test_f45_a_clean_run_has_no_spike(number: int, tmp_path: Path, config: Any, silent: Any) -> None:
    shown = silent()
    rule = ["adam: {lr: 0.02}", "sgd: {lr: 0.1, momentum: 0.9}"][number % 2]
    path = config(
        ("steps: 40", "steps: 400, clip_norm: 1.0"), ("every: 7 steps", "every: 100 steps"),
        ("adam: {lr: 0.02}", rule), ("name: numbers", f"name: numbers\nseed: {number}"),
    )  # fmt: skip
    start(path, folder=tmp_path / "a", shown=shown)
    assert "gradient-spike" not in shown.warnings
    assert not [line for line in journal_of(tmp_path / "a") if line["kind"] == "spike"]


def test_f48_memory_that_is_refused_ends_with_6_and_leaves_a_run_to_resume(
    tmp_path: Path, config: Any, silent: Any, poison: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real allocation that the system refuses: more than any address space holds."""
    whole = tmp_path / "whole"
    start(config(), folder=whole, shown=silent())
    losses = _Supervised.losses
    calls = 0

    def greedy(self: Any, name: str, networks: Any, batch: Any) -> Terms:
        nonlocal calls
        calls += 1
        if calls == 20:
            torch.empty(1 << 50)
        return losses(self, name, networks, batch)

    with monkeypatch.context() as patch:
        patch.setattr(_Supervised, "losses", greedy)
        problem = refused(lambda: start(config(), folder=tmp_path / "a", shown=silent()))
    assert (problem.code, problem.exit_code) == ("out-of-memory", 6)
    assert problem.what == "there is not enough memory: 4504 TB were asked for"
    assert "batch_size" in problem.help
    status = json.loads((tmp_path / "a" / "status.json").read_text())
    assert (status["state"], status["exit_code"], status["step"], status["resumable"]) == ("failed", 6, 19, True)
    assert go_on(tmp_path / "a", shown=silent()).state == "finished"
    assert same(tensors(whole), tensors(tmp_path / "a"))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose numbers are not read as a step is made: the same operations, on tensors of the CPU."""
    monkeypatch.setattr("gradtrain.training.update.waits", lambda device: True)


LATE = ("logging: {every: 1 step}", "logging: {every: 5 steps}")


@pytest.mark.parametrize("clip", ["", ", clip_norm: 1.0", ", clip_value: 1.0", ", accumulate: 3", ", ema: 0.9"])
@pytest.mark.parametrize("step", [1, 5, 6, 18, 40])
def test_f43_a_device_that_is_not_read_remembers_the_first_gradient_that_was_not_finite(
    step: int, clip: str, tmp_path: Path, config: Any, poison: Any, silent: Any, elsewhere: None
) -> None:
    """The run stops at the next line that is logged, names the step itself, and saves nothing bad."""
    poison({step: float("inf"), step + 1: 1.0}, gradient=True)
    path = config(("steps: 40", f"steps: 40{clip}"), LATE)
    problem = refused(lambda: start(path, folder=tmp_path / "run", shown=silent()))
    assert (problem.code, problem.exit_code) == ("nonfinite", 4)
    assert f"at step {step}," in problem.what
    assert f"asked at step {min(-(-step // 5) * 5, -(-step // 7) * 7)}" in problem.why
    assert all_finite(tmp_path / "run")
    assert all(made < step for made in checkpoint.steps(tmp_path / "run" / "checkpoints"))
    again = replayed(tmp_path / "run")
    assert (again.exit_code, again.step, again.same_data) == (4, step, True)


def test_f46_a_device_that_is_not_read_goes_back_as_well(
    tmp_path: Path, config: Any, poison: Any, silent: Any, elsewhere: None
) -> None:
    path = config(policy("{rollback: {rate: 0.5}}"), LATE)
    poison({18: float("nan"), 33: float("nan")}, gradient=True)
    shown = silent()
    assert start(path, folder=tmp_path / "a", shown=shown).state == "finished"
    back = [line for line in journal_of(tmp_path / "a") if line["kind"] == "nonfinite"]
    assert ["step 18" in back[0]["what"], "step 33" in back[1]["what"]] == [True, True]
    assert [line["to"] for line in back] == [14, 30]
    assert shown.warnings.count("nonfinite") == 2
    assert all_finite(tmp_path / "a")
    resumed(tmp_path, path, silent, after=(7, 14))


def test_f46_under_skip_every_device_is_read(
    tmp_path: Path, config: Any, poison: Any, silent: Any, elsewhere: None
) -> None:
    path = config(policy("skip"), LATE)
    poison({9: float("nan")}, gradient=True)
    assert start(path, folder=tmp_path / "a", shown=silent()).state == "finished"
    assert [line["step"] for line in journal_of(tmp_path / "a") if line["kind"] == "nonfinite"] == [9]


@pytest.mark.parametrize("update", ["generator", "discriminator"])
def test_f43_a_device_remembers_each_of_several_updates(
    update: str, tmp_path: Path, config: Any, poison: Any, silent: Any, elsewhere: None
) -> None:
    poison({8: float("nan")}, gradient=True, task=_Gan, update=update)
    path = config(("every: 1 step}", "every: 5 steps}"), text=GAN)
    problem = refused(lambda: start(path, folder=tmp_path / "a", shown=silent()))
    assert "at step 8," in problem.what


@pytest.mark.parametrize("step", [10, 11, 13])
def test_f43_a_device_remembers_across_phases(
    step: int, tmp_path: Path, config: Any, poison: Any, silent: Any, elsewhere: None
) -> None:
    """The last step of a phase, too, whose updates nobody asks any more in the next one."""
    poison({step: float("nan")}, gradient=True)
    path = config(("every: 1 step}", "every: 7 steps}"), text=PHASES)
    problem = refused(lambda: start(path, folder=tmp_path / "a", shown=silent()))
    assert f"at step {step}," in problem.what


SCALE = 2.0**30


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """float16 with torch's own loss scaler, which works on the CPU as well; its scale begins too high."""

    def precision(name: str, device: torch.device) -> Float16:
        made = Float16(device)
        made.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
        return made

    monkeypatch.setattr("gradtrain.assemble.precision", precision)


def test_steps_that_float16_leaves_out_are_counted(tmp_path: Path, config: Any, silent: Any, half: None) -> None:
    """They overflow until the scale is low enough; the count goes on in a resumed run."""
    path = config(LATE)
    assert start(path, folder=tmp_path / "a", shown=silent()).state == "finished"
    lines = [line for line in journal_of(tmp_path / "a") if line["kind"] == "overflow"]
    assert lines
    counts = [line["left_out"] for line in lines]
    assert counts == sorted(counts)
    assert [line["step"] % 5 == 0 or line["step"] % 7 == 0 for line in lines] == [True] * len(lines)
    assert lines[-1]["scale"] == SCALE / 2 ** counts[-1]
    moved = [float(v) for name, v in tensors(tmp_path / "a").items() if name.endswith(".step")]
    assert set(moved) == {STEPS - counts[-1]}, "the optimizer made all other steps"
    resumed(tmp_path, path, silent, after=(7, 14))


def test_a_run_whose_every_step_is_left_out_does_not_go_on_for_ever(
    tmp_path: Path, config: Any, poison: Any, silent: Any, half: None
) -> None:
    poison(dict.fromkeys(range(5, 400), float("nan")), gradient=True)
    path = config(("steps: 40", "steps: 400"), ("logging: {every: 1 step}", "logging: {every: 20 steps}"))
    problem = refused(lambda: start(path, folder=tmp_path / "a", shown=silent()))
    assert (problem.code, problem.exit_code) == ("nonfinite", 4)
    assert "steps were left out: their gradients overflow in float16" in problem.what
    assert "precision: bfloat16" in problem.help
    assert json.loads((tmp_path / "a" / "status.json").read_text())["step"] <= 5 + OVERFLOWS + 20
