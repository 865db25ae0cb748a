"""Cutting borders off undoes putting them on, and leaves something."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.layers.crop import Crop
from gradtrain.components.layers.pad import Pad
from gradtrain.stage import Misfit


@pytest.mark.parametrize("size", [0, 2, (1, 3)], ids=str)
def test_it_undoes_a_border(size: int | tuple[int, int], seeded: torch.Generator) -> None:
    x = torch.randn(2, 3, 4, 5, generator=seeded)
    wide = Pad(size=size).textbook(x)
    assert torch.equal(Crop(size=size).textbook(wide), x)
    assert torch.equal(Crop(size=size).build(tuple(wide.shape[1:]))(wide), x)
    assert torch.equal(Crop(size=size).gradient(x, wide)["x"], wide)


def test_nothing_left_is_refused() -> None:
    with pytest.raises(Misfit, match=r"leaves nothing of \[3, 4, 5\]: it would become \[3, 0, 1\]"):
        Crop(size=2).output_shape((3, 4, 5))
