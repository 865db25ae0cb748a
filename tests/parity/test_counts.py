"""As many parameters as the published programs have: networks made from YAML, on the data's facts alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from gradtrain.assemble import network_of
from gradtrain.components.datasets import Facts
from gradtrain.config.load import read
from gradtrain.feed import facts_after

from .programs import Gpt, Sines, Vae

CONFIGS = Path(__file__).parents[2] / "configs"
TEXT = Facts(count=1_115_394, shape=(), vocab=65, series=True)
CLOTHES = Facts(count=70_000, shape=(1, 28, 28), classes=10, range=(0.0, 255.0))

DIGITS_CNN = """\
name: digits-cnn
data:
  source: {npz: {path: digits.npz}}
  transforms: [to_float]
model:
  layers:
    - conv: {out: 32, kernel: 3}
    - relu
    - conv: {out: 64, kernel: 3}
    - relu
    - max_pool: 2
    - dropout: 0.25
    - flatten
    - linear: 128
    - relu
    - dropout: 0.5
    - linear: $data.classes
loss: cross_entropy
optimizer: adadelta
training: {epochs: 14}
"""
FACES = """\
name: dcgan
data:
  source: {npz: {path: faces.npz}}
  transforms: [to_float, {normalize: {mean: [0.5], std: [0.5]}}]
models:
  generator: {input: [100, 1, 1], dcgan_generator: {channels: $data.channels, size: 64}}
  discriminator: {dcgan_discriminator: {size: 64}}
objective: {gan: {latent: [100, 1, 1], reuse_fakes: true}}
optimizer: adam
training: {epochs: 5}
"""


def networks(path: Path, facts: Facts, profile: str | None = None) -> Mapping[str, nn.Module]:
    """The networks of a config, as they would be built for such data."""
    run = read(path, profile).run(facts)
    seen, cpu = facts_after(facts, run.data), torch.device("cpu")
    return {role: network_of(role, network, seen, torch.float32, cpu) for role, network in run.networks.items()}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def written(text: str, folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_cnn_of_mnist(tmp_path: Path) -> None:
    facts = Facts(count=70_000, shape=(1, 28, 28), classes=10, range=(0.0, 255.0))
    assert count(networks(written(DIGITS_CNN, tmp_path), facts)["model"]) == 1_199_882


def test_dcgan_of_colour_images(tmp_path: Path) -> None:
    made = networks(written(FACES, tmp_path), Facts(count=1000, shape=(3, 64, 64), range=(0.0, 255.0)))
    assert {role: count(network) for role, network in made.items()} == {
        "generator": 3_576_704,
        "discriminator": 2_765_568,
    }


def test_the_vae() -> None:
    assert sum(map(count, networks(CONFIGS / "fashion-vae.yaml", CLOTHES).values())) == 652_824 == count(Vae())


@pytest.mark.parametrize(
    ("profile", "program", "without_places"),
    [
        (None, {"window": 256, "layers": 6, "heads": 6, "width": 384}, 10_646_784),
        ("cpu", {"window": 64, "layers": 4, "heads": 4, "width": 128}, 795_904),
    ],
)
def test_nanogpt(profile: str | None, program: Mapping[str, int], without_places: int) -> None:
    model = networks(CONFIGS / "shakespeare-gpt.yaml", TEXT, profile)["model"]
    places = dict(model.named_parameters())["positions.weight"]
    assert places.shape == (program["window"], program["width"])
    assert count(model) - places.numel() == without_places
    assert count(model) == count(Gpt(vocab=65, **program))


def test_the_sine_lstm() -> None:
    """Its cells have two biases each, as PyTorch's LSTM has: 4·51·(1 + 51 + 2) + 4·51·(51 + 51 + 2) + 51 + 1."""
    facts = Facts(count=100, shape=(1000, 1), range=(-1.0, 1.0))
    assert count(networks(CONFIGS / "sine-lstm.yaml", facts)["model"]) == 32_284 == count(Sines())


def test_micrograd() -> None:
    facts = Facts(count=100, shape=(2,), classes=2)
    assert count(networks(CONFIGS / "moons-hinge.yaml", facts)["model"]) == 337
