"""Transposed convolution by hand, as the adjoint of a convolution, against torch's kernel, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.conv_transpose import ConvTranspose
from gradtrain.stage import Misfit, Shape


def test_two_patterns_that_overlap() -> None:
    x = torch.tensor([[[1.0, 2.0]]])
    parameters = {"weight": torch.tensor([[[1.0, 10.0, 100.0]]]), "bias": torch.tensor([0.5])}
    layer = ConvTranspose(out=1, kernel=3, stride=2)
    assert layer.textbook(x, **parameters).tolist() == [[[1.5, 10.5, 102.5, 20.5, 200.5]]]
    found = layer.gradient(torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), x, **parameters)
    assert {key: value.flatten().tolist() for key, value in found.items()} == {
        "x": [321.0, 543.0], "weight": [1.0 + 6.0, 2.0 + 8.0, 3.0 + 10.0], "bias": [15.0],
    }  # fmt: skip


SETTINGS: list[tuple[Shape, dict[str, Any]]] = [
    ((4, 3, 4), {"kernel": 4, "stride": 2, "padding": 1}),
    ((6, 5), {"kernel": 5, "stride": 3, "padding": 2, "output_padding": 2, "groups": 2}),
    ((4, 2, 3), {"kernel": (1, 4), "stride": (3, 1), "padding": (0, 2), "output_padding": (2, 0), "bias": False}),
    ((4, 1, 1), {"kernel": 4}),
]


@pytest.mark.parametrize(("shape", "settings"), SETTINGS, ids=str)
def test_both_faces_agree(shape: Shape, settings: dict[str, Any], seeded: torch.Generator) -> None:
    layer = ConvTranspose(out=4, **settings)
    module = layer.build(shape).double()
    x = torch.randn(3, *shape, generator=seeded, dtype=torch.float64).requires_grad_()
    y = module(x)
    assert y.shape == (3, *layer.output_shape(shape))
    parameters = dict(module.named_parameters())
    torch.testing.assert_close(layer.textbook(x, **parameters), y, rtol=1e-10, atol=1e-10)
    g = torch.randn(y.shape, generator=seeded, dtype=torch.float64)
    found = layer.gradient(g, x, **parameters)
    for key, expected in zip(["x", *parameters], torch.autograd.grad(y, [x, *parameters.values()], g), strict=True):
        torch.testing.assert_close(found[key], expected, rtol=1e-10, atol=1e-10)


def test_it_is_the_way_back_of_a_convolution(seeded: torch.Generator) -> None:
    conv = Conv(out=3, kernel=4, stride=2, padding=1, bias=False)
    back = ConvTranspose(out=2, kernel=4, stride=2, padding=1, bias=False)
    weight = torch.randn(3, 2, 4, 4, generator=seeded, dtype=torch.float64)
    x = torch.randn(1, 2, 8, 8, generator=seeded, dtype=torch.float64)
    y = torch.randn(1, 3, 4, 4, generator=seeded, dtype=torch.float64)
    forth = (conv.textbook(x, weight=weight) * y).sum()
    torch.testing.assert_close((back.textbook(y, weight=weight) * x).sum(), forth)
    torch.testing.assert_close(F.conv_transpose2d(y, weight, stride=2, padding=1), back.textbook(y, weight=weight))


@pytest.mark.parametrize(
    ("shape", "settings", "said"),
    [
        (
            (4, 3, 3),
            {"kernel": 2, "output_padding": 1},
            "output_padding 1x1 of `conv_transpose` must be below its stride",
        ),
        ((3, 3, 3), {"kernel": 2, "groups": 2}, "cannot cut 3 input and 4 output channels into 2"),
        ((4, 2, 2), {"kernel": 2, "padding": 2}, r"\[4, 2, 2\] would become \[4, -1, -1\]"),
        ((4,), {"kernel": 2}, r"takes \[channels, height, width\] or \[channels, length\], got \[4\]"),
        ((4, 2, 2), {"kernel": (2,)}, "1 numbers in `kernel`"),
    ],
    ids=["output_padding", "groups", "padding", "rank", "kernel"],
)
def test_what_does_not_fit_is_refused_before_building(shape: Shape, settings: dict[str, Any], said: str) -> None:
    layer = ConvTranspose(out=4, **settings)
    with pytest.raises(Misfit, match=said):
        layer.output_shape(shape)
    with pytest.raises(Misfit, match=said):
        layer.build(shape)
