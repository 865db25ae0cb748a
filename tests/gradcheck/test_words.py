"""A record's journey to YAML and back."""

from __future__ import annotations

from gradtrain.components.layers import Placed
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.residual import Residual
from gradtrain.components.losses.huber import Huber
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.gradcheck.words import spelled


def test_defaults_are_left_out():
    assert spelled(Huber()) == {}
    assert spelled(Huber(delta=0.3)) == {"delta": 0.3}


def test_layers_in_layers_are_spelled_as_in_yaml():
    body = (Placed(part=Linear(out=6), name="head"), Placed(part=LayerNorm()))
    assert spelled(Residual(body=body)) == {"body": [{"linear": {"out": 6}, "name": "head"}, {"layer_norm": {}}]}
