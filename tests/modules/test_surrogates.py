"""Modules whose backward pass stands for another function."""

from __future__ import annotations

import torch

import gradtrain
from gradtrain.modules.surrogates import GradientReversal, Quantize


def test_reversal_passes_numbers_on_and_turns_gradients_round() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = GradientReversal(0.5)(x)
    (g,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(y, x)
    assert g.tolist() == [-0.5, -0.5]


def test_levels_are_the_nearest_ones_and_the_gradient_stops_beyond_the_limit() -> None:
    x = torch.tensor([-3.0, -0.4, 0.1, 0.6, 2.0], requires_grad=True)
    y = Quantize(3, 1.0)(x)
    (g,) = torch.autograd.grad(y.sum(), x)
    assert y.tolist() == [-1.0, 0.0, 0.0, 1.0, 1.0]
    assert g.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_they_are_refused_until_declared() -> None:
    x = torch.tensor([-0.4, 0.1, 0.62], dtype=torch.float64)
    for module, surrogate in ((GradientReversal(2.0), lambda x: -2 * x), (Quantize(5, 1.0), lambda x: x.clamp(-1, 1))):
        assert not gradtrain.gradcheck(module, x).ok
        assert gradtrain.gradcheck(module, x, surrogate=surrogate).verdict == "intended"
