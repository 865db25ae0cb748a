"""Modules whose backward pass stands for another function: what they compute, and what they let through."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradtrain
from gradtrain.components.layers.gradient_reversal import GradientReversal as ReversalLayer
from gradtrain.components.layers.quantize import Quantize as QuantizeLayer
from gradtrain.modules.surrogates import GradientReversal, Quantize

X = torch.tensor([[-2.0, -1.0, -0.34, 0.0], [0.1, 0.49, 1.0, 3.0]], dtype=torch.float64)


def slope(module: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    g = torch.arange(1.0, 1 + x.numel(), dtype=x.dtype).view(x.shape)
    (found,) = torch.autograd.grad(module(x), x, g)
    return found / g


def test_a_reversal_gives_back_a_copy_and_two_of_them_are_none() -> None:
    module = GradientReversal(2.0)
    answer = module(X)
    assert torch.equal(answer, X)
    assert answer.data_ptr() != X.data_ptr()
    assert torch.equal(slope(nn.Sequential(module, GradientReversal(0.5)), X), torch.ones_like(X))


def test_forward_mode_and_second_derivatives_are_turned_too() -> None:
    module = GradientReversal(0.3)
    with warnings.catch_warnings(), torch.autograd.forward_ad.dual_level():
        warnings.simplefilter("ignore")  # torch's own, at the first dual number of a process
        dual = torch.autograd.forward_ad.make_dual(X, torch.ones_like(X))
        found = torch.autograd.forward_ad.unpack_dual(module(dual)).tangent
    assert found is not None
    assert torch.allclose(found, torch.full_like(X, -0.3))
    x = X.clone().requires_grad_()
    (first,) = torch.autograd.grad(module(x).pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert torch.allclose(first, -0.3 * 3 * X**2)
    assert torch.allclose(second, 0.09 * 6 * X)  # the factor is met on the way back twice


def test_what_comes_before_a_reversal_works_against_what_comes_after() -> None:
    before, after = nn.Linear(4, 3), nn.Linear(3, 1)
    x = torch.rand(5, 4)
    plain = torch.autograd.grad(after(before(x)).sum(), [before.weight, after.weight])
    turned = torch.autograd.grad(after(GradientReversal(2.0)(before(x))).sum(), [before.weight, after.weight])
    assert torch.allclose(turned[0], -2 * plain[0])
    assert torch.allclose(turned[1], plain[1])


@pytest.mark.parametrize(("levels", "limit"), [(2, 1.0), (3, 2.0), (16, 1.0), (255, 0.5)])
def test_quantization_gives_the_nearest_of_its_levels_and_those_it_leaves_alone(levels: int, limit: float) -> None:
    x = torch.randn(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    allowed = np.linspace(-limit, limit, levels)
    nearest = allowed[np.abs(x.numpy()[:, None] - allowed).argmin(1)]
    once = Quantize(levels, limit)(x)
    assert np.allclose(once.numpy(), nearest, rtol=0, atol=1e-12)
    assert torch.allclose(Quantize(levels, limit)(once), once, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("module", [GradientReversal(0.5), Quantize(5, 1.0)])
def test_a_precision_is_kept(module: nn.Module, dtype: torch.dtype) -> None:
    x = X.clone().to(dtype).requires_grad_()
    module(x).sum().backward()
    assert module(x).dtype == dtype
    assert x.grad is not None
    assert x.grad.dtype == dtype


@pytest.mark.parametrize("levels", [3, 5, 16, 64, 1000])
@pytest.mark.parametrize("seed", [0, 1])
def test_undeclared_quantization_is_refused_also_where_it_jumps(levels: int, seed: int) -> None:
    inside = X.clamp(-0.9, 0.9) * 0.97
    assert bool((inside == 0).any())
    assert not gradtrain.gradcheck(Quantize(levels, 1.0), inside, seed=seed).ok
    declared = gradtrain.gradcheck(Quantize(levels, 1.0), inside, surrogate=lambda x: x.clamp(-1, 1), seed=seed)
    assert declared.verdict == "intended"


def test_a_reversal_is_what_it_is_declared_to_be_to_its_last_digit() -> None:
    turned = GradientReversal(0.3)
    assert not gradtrain.gradcheck(turned, X).ok
    assert gradtrain.gradcheck(turned, X, surrogate=lambda x: -0.3 * x).verdict == "intended"
    assert not gradtrain.gradcheck(turned, X, surrogate=lambda x: 0.3 * x).ok
    assert not gradtrain.gradcheck(turned, X, surrogate=lambda x: -0.30000001 * x).ok


@pytest.mark.parametrize("layer", [ReversalLayer(), ReversalLayer(scale=0.3), QuantizeLayer(), QuantizeLayer(levels=3)])
def test_a_layer_builds_a_module_without_weights_that_does_what_its_textbook_says(
    layer: ReversalLayer | QuantizeLayer,
) -> None:
    module = layer.build((4,))
    x = torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert not list(module.parameters())
    assert torch.allclose(module(x), layer.textbook(x))
