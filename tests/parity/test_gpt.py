"""gradtrain's GPT against nanoGPT's, by hand: same weights, same windows, 20 steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradtrain.assemble import Parts

from .names import GPT, copied
from .programs import Gpt, Losses, train_gpt
from .sides import batches, made, same_losses, same_weights, trained

CONFIG = """\
name: gpt
precision: {precision}
data:
  source: tinyshakespeare
  split: {{val: 0.1}}
  windows: {{length: 24, start: random}}
  batch_size: 8
model:
  gpt: {{layers: 3, heads: 4, width: 32, vocab: $data.vocab, bias: false}}
  init:
    - normal: {{std: 0.02}}
      params: weights
    - normal: {{std: 0.00816}}
      params: "*.proj.weight"
objective: language_model
loss: cross_entropy
optimizer:
  adamw: {{lr: 1e-3, betas: [0.9, 0.99], weight_decay: 0.1}}
  groups:
    - {{params: {{ndim: "<2"}}, weight_decay: 0.0}}
schedule:
  cosine: {{warmup: 4, min_lr: 1e-4}}
  by: step
training: {{steps: 20, clip_norm: 0.5}}
"""


SETTINGS = {"lr": 1e-3, "min_lr": 1e-4, "warmup": 4, "decay": 0.1, "clip": 0.5}
OTHERS = {"clip": 1e9, "warmup": 5, "min_lr": 0.0, "decay": 0.0}


def by_hand(parts: Parts, **other: float) -> tuple[Gpt, Losses]:
    """The program after its last step."""
    program = Gpt(vocab=65, window=24, layers=3, heads=4, width=32)
    copied(parts.networks, program, GPT)
    return program, train_gpt(program, batches(parts, "x", "y"), 20, **{**SETTINGS, **other})


# float32 rounds at 1.2e-7, and only one of the two uses the fused AdamW: 1.2e-7 of the loss and in a weight were seen
# after 20 steps.
@pytest.mark.parametrize(("precision", "losses", "weights"), [("float64", 1e-10, 1e-10), ("float32", 5e-6, 1e-5)])
def test_twenty_steps(precision: str, losses: float, weights: float, tmp_path: Path) -> None:
    runner = made(CONFIG.format(precision=precision), tmp_path)
    program, theirs = by_hand(runner.parts)
    same_losses(trained(runner, seed=0), theirs, losses)
    same_weights(runner.parts.networks, program, GPT, rel=1e-6, absolute=weights)


def test_every_setting_shows(tmp_path: Path) -> None:
    """The comparison is sharp: a program with one setting changed tells other losses."""
    runner = made(CONFIG.format(precision="float64"), tmp_path)
    others = [by_hand(runner.parts, **{name: value})[1] for name, value in OTHERS.items()]
    ours = trained(runner, seed=0)
    for theirs in others:
        with pytest.raises(AssertionError, match="cross_entropy"):
            same_losses(ours, theirs, 1e-6)
