"""One step of a sequence."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.layers.take_first import TakeFirst
from gradtrain.components.layers.take_last import TakeLast
from gradtrain.stage import Misfit


def test_the_step_that_is_kept() -> None:
    x = torch.arange(12.0).reshape(2, 3, 2)
    assert TakeLast().build((3, 2))(x).tolist() == [[4.0, 5.0], [10.0, 11.0]]
    assert TakeFirst().build((3, 2))(x).tolist() == [[0.0, 1.0], [6.0, 7.0]]


@pytest.mark.parametrize("layer", [TakeLast(), TakeFirst()], ids=["last", "first"])
def test_only_sequences_have_steps(layer: TakeLast | TakeFirst) -> None:
    assert layer.output_shape((7, 3)) == (3,)
    for shape in ((3,), (1, 2, 3)):
        with pytest.raises(Misfit, match=r"takes \[time, features\]"):
            layer.output_shape(shape)
