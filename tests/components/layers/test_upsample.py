"""Enlarging by hand, and against torch's interpolation at several factors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gradtrain.components.layers.upsample import Upsample
from gradtrain.stage import Misfit


def test_by_hand() -> None:
    x = torch.tensor([[[0.0, 4.0]]])
    assert Upsample(factor=2).textbook(x).tolist() == [[[0.0, 0.0, 4.0, 4.0]]]
    assert Upsample(factor=2, mode="bilinear").textbook(x).tolist() == [[[0.0, 1.0, 3.0, 4.0]]]
    g = torch.tensor([[[1.0, 10.0, 100.0, 1000.0]]])
    assert Upsample(factor=2).gradient(g, x)["x"].tolist() == [[[11.0, 1100.0]]]
    assert Upsample(factor=2, mode="bilinear").gradient(g, x)["x"].tolist() == [[[33.5, 1077.5]]]


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 7, (2, 3), (4, 1)], ids=str)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_it_agrees_with_torch(factor: int | tuple[int, int], mode: str, seeded: torch.Generator) -> None:
    x = torch.randn(2, 3, 5, 4, generator=seeded, dtype=torch.float64)
    layer = Upsample.model_validate({"factor": factor, "mode": mode})
    height, width = (factor, factor) if isinstance(factor, int) else factor
    y = F.interpolate(x, size=(5 * height, 4 * width), mode=mode)
    assert layer.output_shape((3, 5, 4)) == y.shape[1:]
    torch.testing.assert_close(layer.textbook(x), y, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer.build((3, 5, 4))(x), y, rtol=1e-10, atol=1e-10)


def test_features_without_channels_are_refused() -> None:
    with pytest.raises(Misfit, match=r"got \[6\]"):
        Upsample(factor=2).output_shape((6,))
