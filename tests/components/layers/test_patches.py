"""Patches: reading order, and images that do not divide."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.layers.patches import Patches
from gradtrain.stage import Misfit


def test_squares_in_reading_order() -> None:
    module = Patches(size=2, width=1).build((1, 4, 6))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        dict(module.named_parameters())["weight"][0, 0, 0, 0] = 1.0  # the upper left pixel of every square
    x = torch.arange(24.0).reshape(1, 1, 4, 6)
    assert module(x).flatten().tolist() == [0.0, 2.0, 4.0, 12.0, 14.0, 16.0]


def test_the_base_model_of_the_paper() -> None:
    layer = Patches(size=16, width=768)
    assert layer.output_shape((3, 224, 224)) == (196, 768)
    assert sum(p.numel() for p in layer.build((3, 224, 224)).parameters()) == 590_592


@pytest.mark.parametrize("shape", [(3, 7, 8), (3, 8, 7), (3, 8), (8,)], ids=str)
def test_a_rest_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(Misfit):
        Patches(size=2, width=4).output_shape(shape)
