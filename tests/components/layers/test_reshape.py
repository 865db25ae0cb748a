"""Reshape keeps the order and the count of the numbers."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.layers.reshape import Reshape
from gradtrain.stage import Misfit


def test_the_order_is_kept_whatever_lies_in_memory() -> None:
    x = torch.arange(24.0).reshape(2, 4, 3).transpose(1, 2)
    y = Reshape(into=(2, 6)).build((3, 4))(x)
    assert y.shape == (2, 2, 6)
    assert y.flatten().tolist() == x.flatten().tolist()


def test_an_empty_batch_stays_one() -> None:
    assert Reshape(into=(2, 3)).build((6,))(torch.zeros(0, 6)).shape == (0, 2, 3)


def test_another_count_is_refused_with_both_shapes() -> None:
    with pytest.raises(Misfit, match=r"the 4000 numbers of \[4000\] out as \[256, 4, 4\], which holds 4096") as refused:
        Reshape(into=(256, 4, 4)).output_shape((4000,))
    assert "4096" in refused.value.help


@pytest.mark.parametrize("into", [(), (0, 4), (-1, 4)], ids=str)
def test_axes_are_positive(into: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Reshape(into=into)


def test_the_short_form() -> None:
    assert Reshape.main_parameter() == "into"
