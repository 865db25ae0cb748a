"""Variables answer with themselves, whatever they are asked."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.layers.variables import Variables


@pytest.mark.parametrize("shape", [(), (1,), (3, 4)])
def test_every_input_gets_the_start(shape):
    module = Variables(start=(5.0, -3.0)).build(shape)
    assert module(torch.randn(4, *shape)).tolist() == [[5.0, -3.0]] * 4


def test_the_slope_by_the_input_is_zero_and_not_missing():
    x = torch.ones(2, 3, requires_grad=True)
    Variables(start=(1.0,)).build((3,))(x).sum().backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


def test_it_takes_the_dtype_of_the_run():
    assert Variables(start=(0.1,)).build((1,)).double().weight.dtype == torch.float64
