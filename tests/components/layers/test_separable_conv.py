"""The separable convolution against torch's kernel for the product of its weights, and its size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gradtrain.components.layers.separable_conv import SeparableConv
from gradtrain.stage import Misfit


def test_it_is_a_convolution_whose_weights_are_products(seeded: torch.Generator) -> None:
    layer = SeparableConv(out=3, kernel=(3, 2), stride=2, padding=1)
    module = layer.build((4, 7, 6)).double()
    own = dict(module.named_parameters())
    assert list(own) == ["depthwise.weight", "pointwise.weight", "pointwise.bias"]
    whole = own["pointwise.weight"] * own["depthwise.weight"].transpose(0, 1)
    x = torch.randn(2, 4, 7, 6, generator=seeded, dtype=torch.float64)
    torch.testing.assert_close(module(x), F.conv2d(x, whole, own["pointwise.bias"], stride=2, padding=1))


def test_it_has_the_parameters_of_keras() -> None:
    module = SeparableConv(out=128, kernel=3, padding="same", bias=False).build((64, 8, 8))
    assert sum(p.numel() for p in module.parameters()) == 64 * 9 + 64 * 128


def test_a_kernel_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Misfit, match=r"\[4, 2, 2\] would become"):
        SeparableConv(out=3, kernel=3).output_shape((4, 2, 2))
    with pytest.raises(Misfit, match=r"`separable_conv` takes .* got \[4\]"):
        SeparableConv(out=3, kernel=3).output_shape((4,))
