"""Everything that a rule, a schedule and an average remember comes back: 60 combinations, gone on with at 3 steps."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from gradtrain.start import go_on, start
from gradtrain.storage import checkpoint

from .rig import Silent, assert_same_end

CONFIG = """
name: combined
device: cpu
data:
  source: {{moons: {{count: 60, noise: 0.3}}}}
  split: {{val: 0.2}}
  augment: [{{noise: 0.1}}]
  batch_size: 12
model: {{layers: [{{linear: 6}}, relu, {{dropout: 0.2}}, {{linear: 2}}]}}
loss: cross_entropy
optimizer: {rule}
schedule: {schedule}
training: {{steps: 12{average}}}
evaluation: {{every: 2 steps}}
checkpoint: {{every: 1 step, keep: 13}}
early_stopping: {{patience: 50}}
logging: {{every: 1 step}}
"""
RULES = {
    "momentum": "{momentum: 0.05}", "adam": "{adam: 0.01}", "rmsprop": "{rmsprop: 0.01}", "lion": "{lion: 0.002}",
    "schedule_free": "{schedule_free: 0.01}", "sam": "{sam: 0.05}",
}  # fmt: skip
SCHEDULES = {
    "cosine": "{cosine: {min_lr: 1e-4}, by: step}", "one_cycle": "{one_cycle: {max_lr: 0.02}, by: step}",
    "exponential": "{exponential: 0.9, by: step}", "plateau": "{plateau: {factor: 0.5, patience: 1}, by: epoch}",
    "none": "null",
}  # fmt: skip
ALL = list(itertools.product(RULES, SCHEDULES, (False, True)))


@pytest.mark.fault("F10", "F12")
@pytest.mark.parametrize(
    ("rule", "schedule", "average"),
    [
        pytest.param(*one, id="-".join(map(str, one)), marks=() if number % 5 == 0 else pytest.mark.slow)
        for number, one in enumerate(ALL)
    ],
)
def test_a_resumed_run_is_the_uninterrupted_one(rule: str, schedule: str, average: bool, tmp_path: Path) -> None:
    if rule == "schedule_free" and (average or schedule != "none"):
        pytest.skip("a rule with an average and a schedule of its own")
    config = tmp_path / "config.yaml"
    said = {"rule": RULES[rule], "schedule": SCHEDULES[schedule], "average": ", ema: 0.9" if average else ""}
    config.write_text(CONFIG.format(**said))
    whole = tmp_path / "whole"
    start(config, folder=whole, shown=Silent())
    for step in (3, 6, 11):
        folder = tmp_path / str(step)
        shutil.copytree(whole, folder)
        (folder / "status.json").unlink()
        for later in checkpoint.steps(folder / "checkpoints"):
            if later > step:
                shutil.rmtree(folder / "checkpoints" / f"step-{later:08d}")
        assert go_on(folder, shown=Silent()).state == "finished"
        assert_same_end(folder, whole)
