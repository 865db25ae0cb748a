"""gradtrain's VAE against that of pytorch/examples, by hand: same weights, same images, same noise, 20 steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from .names import VAE, copied
from .programs import Vae, train_vae
from .sides import batches, made, same_losses, same_weights, trained

CONFIG = """\
name: vae
precision: {precision}
data:
  source: digits
  transforms: [{{to_float: 16}}, flatten]
  split: {{val: 97}}
  batch_size: 32
models:
  encoder:
    layers: [{{linear: 48}}, relu, {{gaussian: 6}}]
  decoder:
    input: 6
    layers: [{{linear: 48}}, relu, {{linear: $data.features}}]
objective: {{vae: {{likelihood: bernoulli}}}}
optimizer: {{adam: {{lr: 1e-3}}}}
training: {{steps: 20}}
"""


# float32 rounds at 1.2e-7, and the two write the cross-entropy and Adam's step in different ways (fused or not):
# 2e-7 of a loss and 3e-8 in a weight were seen after 20 steps.
@pytest.mark.parametrize(("precision", "losses", "weights"), [("float64", 1e-10, 1e-10), ("float32", 5e-6, 1e-5)])
def test_twenty_steps(precision: str, losses: float, weights: float, tmp_path: Path) -> None:
    runner = made(CONFIG.format(precision=precision), tmp_path)
    parts = runner.parts
    program = Vae(pixels=64, hidden=48, code=6)
    copied(parts.networks, program, VAE)
    torch.manual_seed(5)
    theirs = train_vae(program, (x for (x,) in batches(parts, "x")), 20, lr=1e-3)
    same_losses(trained(runner, seed=5), theirs, losses)
    same_weights(parts.networks, program, VAE, rel=1e-6, absolute=weights)


def test_other_noise_is_not_the_same(tmp_path: Path) -> None:
    runner = made(CONFIG.format(precision="float64"), tmp_path)
    program = Vae(pixels=64, hidden=48, code=6)
    copied(runner.parts.networks, program, VAE)
    torch.manual_seed(6)
    theirs = train_vae(program, (x for (x,) in batches(runner.parts, "x")), 20, lr=1e-3)
    with pytest.raises(AssertionError, match="reconstruction"):
        same_losses(trained(runner, seed=5), theirs, 1e-4)
