"""Convolution by hand, and the corners that the contract's cases leave out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradtrain.components.layers.conv import Conv
from gradtrain.stage import Shape


def test_a_convolution_by_hand() -> None:
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    parameters = {"weight": torch.tensor([[[1.0, 10.0]]]), "bias": torch.tensor([100.0])}
    conv = Conv(out=1, kernel=2, stride=2)
    assert conv.textbook(x, **parameters).tolist() == [[[121.0, 143.0]]]
    found = conv.gradient(torch.tensor([[[1.0, 2.0]]]), x, **parameters)
    assert {key: value.flatten().tolist() for key, value in found.items()} == {
        "x": [1.0, 10.0, 2.0, 20.0], "weight": [7.0, 10.0], "bias": [3.0],
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # PyTorch says once that it copies the input
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((2, 6, 5), {"kernel": 4, "padding": "same"}),
        ((2, 7), {"kernel": 2, "padding": "same", "dilation": 3}),
        ((4, 6, 7), {"kernel": (2, 3), "stride": (3, 2), "padding": (1, 2), "dilation": (2, 1), "groups": 2}),
        ((4, 9), {"kernel": 3, "stride": 4, "padding": 5, "groups": 4}),
        ((2, 4, 4), {"kernel": 1, "stride": 2}),
    ],
    ids=str,
)
def test_both_faces_agree(shape: Shape, settings: dict[str, Any], seeded: torch.Generator) -> None:
    conv = Conv(out=4, **settings)
    module = conv.build(shape).double()
    x = torch.randn(3, *shape, generator=seeded, dtype=torch.float64).requires_grad_()
    y = module(x)
    assert y.shape == (3, *conv.output_shape(shape))
    parameters = dict(module.named_parameters())
    torch.testing.assert_close(conv.textbook(x, **parameters), y, rtol=1e-10, atol=1e-10)
    g = torch.randn(y.shape, generator=seeded, dtype=torch.float64)
    found = conv.gradient(g, x, **parameters)
    for key, expected in zip(["x", *parameters], torch.autograd.grad(y, [x, *parameters.values()], g), strict=True):
        torch.testing.assert_close(found[key], expected, rtol=1e-10, atol=1e-10)
