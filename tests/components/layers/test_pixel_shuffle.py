"""Channels as pixels, by hand, and what does not divide."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.layers.pixel_shuffle import PixelShuffle
from gradtrain.stage import Misfit


def test_four_channels_of_one_pixel() -> None:
    x = torch.arange(8.0).reshape(1, 8, 1, 1)
    layer = PixelShuffle(factor=2)
    expected = [[[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]]]
    assert layer.textbook(x).tolist() == expected == layer.build((8, 1, 1))(x).tolist()


@pytest.mark.parametrize("shape", [(6, 2, 2), (3, 2, 2), (4, 2), (4,)], ids=str)
def test_what_does_not_divide_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(Misfit):
        PixelShuffle(factor=2).output_shape(shape)
