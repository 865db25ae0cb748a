"""gradtrain's sine LSTM against that of pytorch/examples, by hand: 5 steps of L-BFGS, 20 of Adam."""

from __future__ import annotations

from pathlib import Path

import pytest

from .names import SINES, copied
from .programs import Sines, train_sines
from .sides import batches, made, same_losses, same_weights, trained

CONFIG = """\
name: sines
precision: float64
data:
  source: {{sine_waves: {{count: 6, length: 16, scale: 3, max_shift: 9, seed: 2}}}}
  split: {{test: 2, order: contiguous}}
  windows: {{length: all, predict: next}}
  batch_size: full
model:
  layers:
    - lstm: {{size: 51, layers: 2, output: sequence}}
    - linear: 1
objective: forecast
loss: mse
optimizer: {{{optimizer}}}
training: {{steps: {steps}}}
"""


# Every step of L-BFGS is 20 evaluations, each of which hands the rounding of the one before on.
@pytest.mark.parametrize(
    ("rule", "optimizer", "steps", "weights"),
    [("lbfgs", "lbfgs: {lr: 0.8, max_iter: 20, history: 100}", 5, 1e-7), ("adam", "adam: {lr: 1e-2}", 20, 1e-10)],
)
def test_every_step(rule: str, optimizer: str, steps: int, weights: float, tmp_path: Path) -> None:
    runner = made(CONFIG.format(optimizer=optimizer, steps=steps), tmp_path)
    parts = runner.parts
    program = Sines()
    copied(parts.networks, program, SINES)
    theirs = train_sines(program, batches(parts, "x", "y"), steps, rule=rule)
    same_losses(trained(runner, seed=0), theirs, 1e-7 if rule == "lbfgs" else 1e-10)
    same_weights(parts.networks, program, SINES, rel=1e-6, absolute=weights)
