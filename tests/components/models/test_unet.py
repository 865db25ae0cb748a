"""The U-Net: sizes on the way, a count by hand, and what every skip carries."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.layers import _chain
from gradtrain.components.models.unet import Unet
from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.stage import Misfit


def test_down_and_up_again() -> None:
    found = _chain.links(Unet(out=2, widths=(4, 8, 16)).expanded(), (3, 12, 8))
    sizes = [link.after[1:] for link in found]
    assert list(dict.fromkeys(sizes)) == [(12, 8), (6, 4), (3, 2)]
    assert found[-1].after == (2, 12, 8)
    joined = [link.after[0] for link in found if link.item.part.name() == "take"]
    assert joined == [16, 8]


def test_parameters_by_hand() -> None:
    down = (1 * 4 * 9 + 4) + (4 * 4 * 9 + 4)
    bottom = (4 * 8 * 9 + 8) + (8 * 8 * 9 + 8)
    up = (8 * 4 * 4 + 4) + (8 * 4 * 9 + 4) + (4 * 4 * 9 + 4)
    module = _chain.build(Unet(out=3, widths=(4, 8)).expanded(), (1, 8, 8))
    assert sum(p.numel() for p in module.parameters()) == down + bottom + up + 4 * 3 + 3


def test_a_norm_takes_the_place_of_the_biases() -> None:
    module = _chain.build(Unet(out=1, widths=(2, 4), norm=BatchNorm()).expanded(), (1, 8, 8))
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(convolutions) == 6 == sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())
    assert all(m.bias is None for m in convolutions)


def test_the_fine_picture_does_not_go_through_the_bottom() -> None:
    module = _chain.build(Unet(out=1, widths=(2, 4)).expanded(), (1, 8, 8))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_()  # so that no relu stands in the way
        for m in module.modules():
            if isinstance(m, nn.ConvTranspose2d):
                m.weight.zero_()
    x = torch.zeros(1, 1, 8, 8)
    y, z = module(x), module(x.index_fill(3, torch.tensor([0]), 5.0))
    changed = (y - z).abs().sum(dim=(0, 1, 2)) > 0
    assert changed.tolist() == [True] * 5 + [False] * 3  # four convolutions of 3x3 reach four pixels


@pytest.mark.parametrize("shape", [(1, 10, 8), (1, 8, 6)], ids=str)
def test_sides_that_cannot_be_halved_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(Misfit, match="`take` cannot join"):
        _chain.output_shape(Unet(out=1, widths=(2, 4, 8)).expanded(), shape)
