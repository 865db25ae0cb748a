"""The Runge-Kutta layer against exact solutions, its order, and fields that change the shape."""

from __future__ import annotations

import math

import pytest
import torch

from gradtrain.components.layers import Placed
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.neural_ode import NeuralOde
from gradtrain.stage import Misfit

LINEAR = (Placed(part=Linear(out=2, bias=False)),)
TURN = {"layers.0.weight": torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)}


def error(steps: int) -> float:
    """Of turning (1, 0) by one radian."""
    layer = NeuralOde(layers=LINEAR, steps=steps)
    y = layer.textbook(torch.tensor([[1.0, 0.0]], dtype=torch.float64), **TURN)
    return float((y - torch.tensor([[math.cos(1.0), math.sin(1.0)]], dtype=torch.float64)).norm())


def test_a_rotation_to_the_fourth_order() -> None:
    assert error(16) < 1e-6
    for steps in (4, 8, 16):
        assert error(steps) / error(2 * steps) == pytest.approx(16, rel=0.1)


def test_one_step_is_the_taylor_polynomial() -> None:
    layer = NeuralOde(layers=(Placed(part=Linear(out=1, bias=False)),), steps=1, span=0.5)
    own = {"layers.0.weight": torch.tensor([[2.0]], dtype=torch.float64)}
    y = layer.textbook(torch.ones(1, 1, dtype=torch.float64), **own)
    assert float(y) == pytest.approx(1 + 1 + 1 / 2 + 1 / 6 + 1 / 24, abs=1e-14)
    slope = layer.gradient(torch.ones(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64), **own)
    assert float(slope["layers.0.weight"]) == pytest.approx(0.5 * (1 + 1 + 1 / 2 + 1 / 6), abs=1e-14)


def test_the_module_takes_the_same_steps() -> None:
    layer = NeuralOde(layers=LINEAR, steps=5, span=2.0)
    module = layer.build((3, 2)).double()
    x = torch.ones(4, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(module(x), layer.textbook(x, **dict(module.named_parameters())))


def test_a_field_keeps_the_shape() -> None:
    with pytest.raises(Misfit, match=r"turn \[3\] into \[2\]"):
        NeuralOde(layers=LINEAR).output_shape((3,))
    with pytest.raises(Misfit) as refused:
        NeuralOde(layers=LINEAR).output_shape((3, 2, 2))
    assert refused.value.path == ("layers", 0)
