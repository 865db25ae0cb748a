"""The convolutional network's layers in order, and its parameters counted by hand."""

from __future__ import annotations

from gradtrain.components.layers import _chain
from gradtrain.components.models.cnn import Cnn
from gradtrain.components.normalizations.batch_norm import BatchNorm


def test_parameters() -> None:
    model = Cnn(widths=(32, 64), out=10)
    # 32·(9·1 + 1) + 64·(9·32 + 1) + 10·(64·7·7 + 1)
    assert sum(p.numel() for p in _chain.build(model.expanded(), (1, 28, 28)).parameters()) == 320 + 18_496 + 31_370


def test_a_normalization_takes_the_place_of_the_bias() -> None:
    names = list(dict(_chain.build(Cnn(widths=(2,), out=1, norm=BatchNorm()).expanded(), (1, 4, 4)).named_parameters()))
    assert names == ["0.weight", "1.weight", "1.bias", "head.weight", "head.bias"]


def test_the_layers_stand_in_their_order() -> None:
    items = Cnn(widths=(2, 3), out=2, hidden=(4,), dropout=0.1, norm=BatchNorm()).expanded()
    stage = ["conv", "batch_norm", "relu", "max_pool"]
    hidden = ["dropout", "linear", "relu"]
    assert [item.part.name() for item in items] == [*stage, *stage, "flatten", *hidden, "dropout", "linear"]


def test_without_pooling_the_image_keeps_its_size() -> None:
    assert _chain.links(Cnn(widths=(2, 3), out=2, pool=1).expanded(), (1, 5, 6))[3].after == (3, 5, 6)
