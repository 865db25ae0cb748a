"""Axes in another order and back."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.layers.permute import Permute
from gradtrain.stage import Misfit


def test_channels_last() -> None:
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    layer = Permute(axes=(2, 3, 1))
    y = layer.build((2, 3, 4))(x)
    assert layer.output_shape((2, 3, 4)) == y.shape[1:] == (3, 4, 2)
    assert y[0, 2, 1, 0] == x[0, 0, 2, 1]
    assert torch.equal(layer.gradient(y, x)["x"], x)


@pytest.mark.parametrize("axes", [(1, 1), (0, 1), (2, 3), ()], ids=str)
def test_every_axis_is_named_once(axes: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Permute(axes=axes)


def test_another_number_of_axes_is_refused() -> None:
    with pytest.raises(Misfit, match=r"names 2 axes \[2, 1\], its input \[2, 3, 4\] has 3"):
        Permute(axes=(2, 1)).output_shape((2, 3, 4))
