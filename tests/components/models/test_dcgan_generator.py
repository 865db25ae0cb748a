"""Both networks of the DCGAN against the sizes of pytorch/examples, and at other sizes of the image."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.layers import _chain
from gradtrain.components.models.dcgan_discriminator import DcganDiscriminator
from gradtrain.components.models.dcgan_generator import DcganGenerator
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.stage import Misfit


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_parameters_of_pytorch_examples() -> None:
    assert count(_chain.build(DcganGenerator(channels=3).expanded(), (100, 1, 1))) == 3_576_704
    assert count(_chain.build(DcganDiscriminator().expanded(), (3, 64, 64))) == 2_765_568


@pytest.mark.parametrize(
    ("size", "sides"),
    [(64, [4, 8, 16, 32, 64]), (32, [4, 8, 16, 32]), (28, [7, 14, 28]), (5, [5]), (48, [6, 12, 24, 48])],
)
def test_the_image_doubles_and_halves(size: int, sides: list[int]) -> None:
    up = _chain.links(DcganGenerator(channels=1, size=size).expanded(), (100, 1, 1))
    assert list(dict.fromkeys(link.after[1] for link in up)) == sides
    assert up[-1].after == (1, size, size)
    down = _chain.links(DcganDiscriminator(size=size).expanded(), (1, size, size))
    assert list(dict.fromkeys(link.before[1] for link in down))[: len(sides)] == sides[::-1]
    assert down[-1].after == (1,)


def test_a_round_from_noise_to_scores(seeded: torch.Generator) -> None:
    generator = _chain.build(DcganGenerator(channels=2, size=16, features=4).expanded(), (10, 1, 1))
    discriminator = _chain.build(DcganDiscriminator(size=16, features=4).expanded(), (2, 16, 16))
    image = generator(torch.randn(6, 10, 1, 1, generator=seeded))
    assert image.shape == (6, 2, 16, 16)
    assert image.abs().max() <= 1
    scores = discriminator(image)
    assert scores.shape == (6, 1)
    scores.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in generator.parameters())


def test_channels_halve_towards_the_image() -> None:
    module = _chain.build(DcganGenerator(channels=3, features=8).expanded(), (100, 1, 1))
    widths = [m.out_channels for m in module.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert widths == [64, 32, 16, 8, 3]


def test_neither_the_first_nor_the_last_layer_of_the_discriminator_is_normalized() -> None:
    module = _chain.build(DcganDiscriminator(features=2, norm=LayerNorm()).expanded(), (3, 64, 64))
    kinds = [type(m).__name__ for m in module.children()]
    assert kinds[:2] == ["Conv2d", "Function"]
    assert kinds.count("LayerNorm") == 3
    assert kinds[-2:] == ["Conv2d", "Reshape"]


@pytest.mark.parametrize("side", [32, 128])
def test_an_image_of_another_size_is_refused(side: int) -> None:
    with pytest.raises(Misfit):
        _chain.output_shape(DcganDiscriminator(size=64).expanded(), (3, side, side))
