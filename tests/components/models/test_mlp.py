"""The perceptron's layers in order, and its parameters counted by hand."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.activations.tanh import Tanh
from gradtrain.components.layers import _chain
from gradtrain.components.models.mlp import Mlp
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.stage import Shape


def count(model: Mlp, shape: Shape) -> int:
    return sum(p.numel() for p in _chain.build(model.expanded(), shape).parameters())


@pytest.mark.parametrize(
    ("model", "shape", "parameters"),
    [
        (Mlp(hidden=(128, 64), out=10), (64,), 17_226),  # 64·128 + 128 + 128·64 + 64 + 64·10 + 10
        (Mlp(hidden=(16, 16), out=1), (2,), 337),  # 2·16 + 16 + 16·16 + 16 + 16 + 1
        (Mlp(hidden=(16, 16), out=1, bias=False), (2,), 304),
        (Mlp(hidden=(), out=10), (64,), 650),
        (Mlp(hidden=(16,), out=1, norm=LayerNorm()), (2,), 97),  # 2·16 + 16 + 2·16 + 16 + 1
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_parameters(model: Mlp, shape: Shape, parameters: int) -> None:
    assert count(model, shape) == parameters


def test_the_layers_stand_in_their_order() -> None:
    items = Mlp(hidden=(3, 4), out=2, activation=Tanh(), norm=LayerNorm(), dropout=0.1).expanded()
    hidden = ["linear", "layer_norm", "tanh", "dropout"]
    assert [item.part.name() for item in items] == ["flatten", *hidden, *hidden, "linear"]
    assert items[-1].name == "head"


def test_an_image_and_its_pixels_in_a_row_are_the_same_input() -> None:
    model = Mlp(hidden=(5,), out=2)
    image, row = _chain.build(model.expanded(), (3, 4, 4)), _chain.build(model.expanded(), (48,))
    row.load_state_dict(image.state_dict())
    x = torch.linspace(-1, 1, 96).reshape(2, 3, 4, 4)
    assert torch.equal(image(x), row(x.reshape(2, 48)))
