"""The residual network against the sizes that the paper prints, and against a count by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.layers import _chain
from gradtrain.components.models.resnet import Resnet
from gradtrain.components.normalizations.group_norm import GroupNorm


def built(model: Resnet, channels: int = 3) -> nn.Module:
    return _chain.build(model.expanded(), (channels, 32, 32))


def count(module: nn.Module, *, shortcuts: bool = True) -> int:
    return sum(p.numel() for name, p in module.named_parameters() if shortcuts or "shortcut" not in name)


@pytest.mark.parametrize(("n", "depth", "millions"), [(3, 20, 0.27), (5, 32, 0.46), (7, 44, 0.66), (9, 56, 0.85)])
def test_table_6_of_the_paper(n: int, depth: int, millions: float) -> None:
    module = built(Resnet(out=10, blocks=n))
    assert round(count(module, shortcuts=False) / 1e6, 2) == millions  # the paper's shortcuts have no parameters
    weighted = [
        m for name, m in module.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(weighted) == depth == 6 * n + 2


def test_parameters_of_twenty_layers() -> None:
    first = 3 * 16 * 9 + 2 * 16
    stages = [
        3 * (2 * 16 * 16 * 9 + 4 * 16),
        (16 * 32 * 9 + 32 * 32 * 9 + 4 * 32) + 2 * (2 * 32 * 32 * 9 + 4 * 32),
        (32 * 64 * 9 + 64 * 64 * 9 + 4 * 64) + 2 * (2 * 64 * 64 * 9 + 4 * 64),
    ]
    shortcuts = 16 * 32 + 32 * 64
    head = 64 * 10 + 10
    assert first + sum(stages) + shortcuts + head == 272_282
    assert count(built(Resnet(out=10))) == 272_282


def test_parameters_of_a_small_one() -> None:
    # first 1·2·9 + 4; a block of 2: 2·(2·2·9) + 8; one from 2 to 3: 2·3·9 + 3·3·9 + 12, its shortcut 2·3; head 3·3 + 3
    assert count(built(Resnet(out=3, widths=(2, 3), blocks=1), channels=1)) == 22 + 80 + 147 + 6 + 12


def test_the_image_is_halved_at_every_new_width() -> None:
    shapes = [link.after for link in _chain.links(Resnet(out=10, blocks=2).expanded(), (3, 32, 32))]
    assert list(dict.fromkeys(shapes)) == [(16, 32, 32), (32, 16, 16), (64, 8, 8), (64,), (10,)]


def test_another_normalization_takes_every_place() -> None:
    module = built(Resnet(out=2, widths=(2, 4), blocks=1, norm=GroupNorm(groups=2)))
    kinds = [type(m) for m in module.modules() if "Norm" in type(m).__name__]
    assert kinds == [nn.GroupNorm] * 5


def test_without_its_body_a_block_passes_everything_on() -> None:
    module = built(Resnet(out=2, widths=(4,), blocks=2))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if ".body." in name:
                parameter.zero_()
    x = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
    stem, blocks = module[:3], module[3:-2]
    assert len(blocks) == 4
    torch.testing.assert_close(blocks(stem(x)), stem(x))
