"""The shipped configs against the plain programs: whole runs, with evaluations, samples and checkpoints in between.

A run must not draw its samples or measure its splits with the numbers that its training would have drawn.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from gradtrain.assemble import Parts
from gradtrain.config.load import read
from gradtrain.report.display import Lines
from gradtrain.start import prepare, reopen, start

from .names import DISCRIMINATOR, GENERATOR, GPT, SINES, VAE, copied
from .programs import Gpt, Sines, Vae, discriminator, generator, train_gan, train_gpt, train_sines, train_vae
from .sides import batches, same_losses, same_weights

CONFIGS = Path(__file__).parents[2] / "configs"
OFTEN = ["precision=float64", "logging.every=1 step", "evaluation.batches=1"]


@pytest.fixture
def clothes(tmp_path: Path) -> Path:
    """A folder of four files in the format of Fashion-MNIST: 60 images to train, 20 to test, of random pixels."""
    numbers = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 20)):
        for kind, shape, values in (("images-idx3", (count, 28, 28), 256), ("labels-idx1", (count,), 10)):
            header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
            pixels = numbers.integers(0, values, shape, dtype=np.uint8).tobytes()
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(header + pixels)
    return tmp_path


class Twins:
    """A shipped config twice: prepared and left alone, whose weights and batches the program takes, and trained."""

    def __init__(self, name: str, overrides: Sequence[str], folder: Path, profile: str | None = None) -> None:
        self.path, self.profile, self.folder = CONFIGS / f"{name}.yaml", profile, folder / "run"
        self.overrides = [*OFTEN, *overrides]
        self.parts: Parts = prepare(read(self.path, profile, self.overrides), folder)[1]
        self.numbers = torch.get_rng_state()
        """Of the noise that the first step draws."""

    def losses(self) -> dict[str, list[float]]:
        """Those of the whole run, from its journal."""
        start(self.path, profile=self.profile, overrides=self.overrides, folder=self.folder, shown=Lines(io.StringIO()))
        told: dict[str, list[float]] = {}
        for line in map(json.loads, (self.folder / "journal.jsonl").read_text("utf-8").splitlines()):
            for name, value in line["loss"].items() if line["kind"] == "step" else ():
                told.setdefault(name, []).append(value)
        return told

    def weights(self) -> dict[str, torch.nn.Module]:
        """As the last checkpoint has them."""
        return dict(reopen(self.folder, "last").networks)


def test_shakespeare_gpt(tmp_path: Path) -> None:
    small = ["data.windows.length=16", "model.gpt.layers=2", "model.gpt.heads=2", "model.gpt.width=32"]
    short = ["training.steps=8", "schedule.cosine.warmup=3", "optimizer.adamw.lr=1e-3"]
    often = ["evaluation.every=3 steps", "checkpoint.every=4 steps", "sampling.every=2 steps", "sampling.length=4"]
    twins = Twins("shakespeare-gpt", [*small, *short, *often], tmp_path, "cpu")
    program = Gpt(vocab=65, window=16, layers=2, heads=2, width=32)
    copied(twins.parts.networks, program, GPT)
    settings = {"lr": 1e-3, "min_lr": 1e-4, "warmup": 3, "decay": 0.1, "clip": 1.0}
    theirs = train_gpt(program, batches(twins.parts, "x", "y"), 8, **settings)
    same_losses(twins.losses(), theirs, 1e-10)
    same_weights(twins.weights(), program, GPT, rel=1e-6, absolute=1e-10)


def test_fashion_vae(tmp_path: Path, clothes: Path) -> None:
    small = [f"data.source.root={clothes}", "data.split.val=12", "data.batch_size=16", "training.epochs=5"]
    twins = Twins("fashion-vae", small, tmp_path)
    program = Vae()
    copied(twins.parts.networks, program, VAE)
    torch.set_rng_state(twins.numbers)
    theirs = train_vae(program, (x for (x,) in batches(twins.parts, "x")), 15, lr=1e-3)
    same_losses(twins.losses(), theirs, 1e-10)
    same_weights(twins.weights(), program, VAE, rel=1e-6, absolute=1e-10)


def test_fashion_dcgan(tmp_path: Path, clothes: Path) -> None:
    small = [f"data.source.root={clothes}", "data.split.val=12", "data.batch_size=8", "training.epochs=1"]
    twins = Twins("fashion-dcgan", [*small, "evaluation.every=2 steps", "sampling.every=2 steps"], tmp_path)
    paints, judges = generator(), discriminator()
    copied(twins.parts.networks, paints, GENERATOR)
    copied(twins.parts.networks, judges, DISCRIMINATOR)
    torch.set_rng_state(twins.numbers)
    theirs = train_gan(paints, judges, (x for (x,) in batches(twins.parts, "x")), 6, latent=100, lr=2e-4)
    same_losses(twins.losses(), theirs, 1e-10)
    same_weights(twins.weights(), paints, GENERATOR, rel=1e-6, absolute=1e-10)
    same_weights(twins.weights(), judges, DISCRIMINATOR, rel=1e-6, absolute=1e-10)


def test_sine_lstm(tmp_path: Path) -> None:
    small = ["data.source.sine_waves.count=6", "data.source.sine_waves.length=16", "training.steps=2"]
    twins = Twins("sine-lstm", [*small, "sampling.length=5", "data.source.sine_waves.scale=3"], tmp_path)
    program = Sines()
    copied(twins.parts.networks, program, SINES)
    theirs = train_sines(program, batches(twins.parts, "x", "y"), 2, rule="lbfgs")
    same_losses(twins.losses(), theirs, 1e-7)
    same_weights(twins.weights(), program, SINES, rel=1e-6, absolute=1e-7)
