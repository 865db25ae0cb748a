"""gradtrain's DCGAN against that of pytorch/examples, by hand: same weights, same images, same latents, 20 steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .names import DISCRIMINATOR, GENERATOR, copied
from .programs import discriminator, generator, train_gan
from .sides import batches, made, same_losses, same_weights, trained

CONFIG = """\
name: dcgan
precision: float64
data:
  source: {npz: {path: images.npz}}
  transforms: [to_float, {normalize: {mean: [0.5], std: [0.5]}}]
  batch_size: 12
blocks:
  up:
    args: {out: null}
    layers:
      - conv_transpose: {out: $out, kernel: 4, stride: 2, padding: 1, bias: false}
      - batch_norm
      - relu
  down:
    args: {out: null}
    layers:
      - conv: {out: $out, kernel: 4, stride: 2, padding: 1, bias: false}
      - batch_norm
      - leaky_relu: 0.2
models:
  generator:
    input: [10, 1, 1]
    layers:
      - conv_transpose: {out: 16, kernel: 7, bias: false}
      - batch_norm
      - relu
      - up: {out: 8}
      - conv_transpose: {out: 1, kernel: 4, stride: 2, padding: 1, bias: false}
      - tanh
  discriminator:
    layers:
      - conv: {out: 8, kernel: 4, stride: 2, padding: 1, bias: false}
      - leaky_relu: 0.2
      - down: {out: 16}
      - conv: {out: 1, kernel: 7, bias: false}
      - flatten
init:
  - normal: {std: 0.02}
    params: {of: [conv, conv_transpose]}
  - normal: {mean: 1.0, std: 0.02}
    params: {of: batch_norm, tensor: weight}
objective: {gan: {latent: [10, 1, 1], loss: non_saturating, reuse_fakes: true}}
optimizers:
  generator: {adam: {lr: 2e-4, betas: [0.5, 0.999]}}
  discriminator: {adam: {lr: 2e-4, betas: [0.5, 0.999]}}
training: {steps: 20}
"""


def test_twenty_steps(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (60, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=numbers.integers(0, 10, 60))
    runner = made(CONFIG, tmp_path)
    parts = runner.parts
    paints, judges = generator(10, 8), discriminator(8)
    copied(parts.networks, paints, GENERATOR)
    copied(parts.networks, judges, DISCRIMINATOR)
    torch.manual_seed(3)
    theirs = train_gan(paints, judges, (x for (x,) in batches(parts, "x")), 20, latent=10, lr=2e-4)
    same_losses(trained(runner, seed=3), theirs, 1e-10)
    same_weights(parts.networks, paints, GENERATOR, rel=1e-6, absolute=1e-10)
    same_weights(parts.networks, judges, DISCRIMINATOR, rel=1e-6, absolute=1e-10)
