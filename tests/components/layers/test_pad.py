"""Borders by hand, against torch, and borders that no mirror can show."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gradtrain.components.layers.pad import Pad
from gradtrain.stage import Misfit


def test_by_hand() -> None:
    x = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert Pad(size=1).textbook(x).tolist() == [[[0.0, 1.0, 2.0, 3.0, 0.0]]]
    assert Pad(size=2, mode="reflect").textbook(x).tolist() == [[[3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]]
    g = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]]])
    assert Pad(size=2, mode="reflect").gradient(g, x)["x"].tolist() == [[[10.0, 12.0, 6.0]]]


@pytest.mark.parametrize(("mode", "torchs"), [("zeros", "constant"), ("reflect", "reflect")])
def test_one_number_an_axis(mode: str, torchs: str, seeded: torch.Generator) -> None:
    x = torch.randn(2, 3, 4, 5, generator=seeded, dtype=torch.float64)
    layer, y = Pad.model_validate({"size": (3, 1), "mode": mode}), F.pad(x, (1, 1, 3, 3), mode=torchs)
    assert layer.output_shape((3, 4, 5)) == y.shape[1:] == (3, 10, 7)
    assert torch.equal(layer.textbook(x), y)
    assert torch.equal(layer.build((3, 4, 5))(x), y)


def test_a_mirror_shows_no_more_than_there_is() -> None:
    with pytest.raises(Misfit, match=r"border of 1x5 from an input of \[3, 4, 5\]"):
        Pad(size=(1, 5), mode="reflect").output_shape((3, 4, 5))
    assert Pad(size=(3, 4), mode="reflect").output_shape((3, 4, 5)) == (3, 10, 13)
