"""Spectral normalization against torch's own, the singular value, and what training and use do to it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations

from gradtrain.components.layers import Layer, Placed
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.conv_transpose import ConvTranspose
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.spectral_norm import SpectralNorm
from gradtrain.stage import Shape

INNER: list[tuple[Layer, Shape]] = [
    (Linear(out=3), (6,)),
    (Conv(out=3, kernel=3), (2, 5, 5)),
    (ConvTranspose(out=3, kernel=2), (2, 5, 5)),
]
IDS = ["linear", "conv", "conv_transpose"]


def built(part: Layer, shape: Shape, **fields: Any) -> Any:
    return SpectralNorm(of=(Placed(part=part),), **fields).build(shape)


@pytest.mark.parametrize(("part", "shape"), INNER, ids=IDS)
def test_in_the_end_it_is_torchs_own(part: Layer, shape: Shape, seeded: torch.Generator) -> None:
    """torch begins an iteration with u where the paper begins with v: they meet where both have arrived."""
    module: Any = built(part, shape, iterations=200).double()
    plain: Any = part.build(shape).double()
    with torch.no_grad():
        plain.weight.copy_(module.weight)
        plain.bias.copy_(module.inner.bias)
    theirs: Any = parametrizations.spectral_norm(plain, n_power_iterations=200)
    x = torch.randn(4, *shape, generator=seeded, dtype=torch.float64)
    torch.testing.assert_close(module(x), theirs(x), rtol=1e-9, atol=1e-10)
    module(x).square().sum().backward()
    theirs(x).square().sum().backward()
    torch.testing.assert_close(module.weight.grad, theirs.parametrizations.weight.original.grad, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("part", "shape"), INNER, ids=IDS)
def test_algorithm_1_by_hand(part: Layer, shape: Shape, seeded: torch.Generator) -> None:
    module = built(part, shape, iterations=2).double()
    weight = module.weight.detach()
    w = (weight.transpose(0, 1) if isinstance(part, ConvTranspose) else weight).flatten(1)
    u = torch.randn(3, generator=seeded, dtype=torch.float64)
    u /= u.norm()
    module.u.copy_(u)
    module(torch.randn(2, *shape, generator=seeded, dtype=torch.float64))
    for _ in range(2):
        v = w.T @ u / (w.T @ u).norm()
        u = w @ v / (w @ v).norm()
    torch.testing.assert_close(module.u, u, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(module.v, v, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(module.eval().made(), weight / (u @ w @ v), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("part", "shape"), INNER, ids=IDS)
def test_in_the_end_nothing_is_stretched(part: Layer, shape: Shape, seeded: torch.Generator) -> None:
    module = built(part, shape)
    x = torch.randn(2, *shape, generator=seeded)
    for _ in range(200):
        module(x)
    made = module.eval().made()
    matrix = (made.transpose(0, 1) if isinstance(part, ConvTranspose) else made).flatten(1)
    assert torch.linalg.svdvals(matrix)[0].item() == pytest.approx(1, rel=1e-5)


def test_use_changes_nothing(seeded: torch.Generator) -> None:
    module, x = built(Linear(out=3), (6,)), torch.randn(4, 6, generator=seeded)
    module(x)
    module.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert torch.equal(module(x), module(x))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert {"weight", "u", "v", "inner.bias"} == before.keys()


def test_a_checkpoint_goes_on_where_it_was(seeded: torch.Generator) -> None:
    first, second, x = built(Linear(out=3), (6,)), built(Linear(out=3), (6,)), torch.randn(4, 6, generator=seeded)
    first(x)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


def test_two_forward_passes_before_one_backward_pass(seeded: torch.Generator) -> None:
    """A critic sees real and made-up samples: the second power iteration must not disturb the first one's graph."""
    module = built(Linear(out=3), (6,)).double()
    x, y = (torch.randn(4, 6, generator=seeded, dtype=torch.float64) for _ in range(2))
    (module(x).square().sum() + module(y).square().sum()).backward()
    assert bool(module.weight.grad.isfinite().all())


@pytest.mark.parametrize("groups", [1, 2])
def test_the_second_derivative_is_right(groups: int, seeded: torch.Generator) -> None:
    module = built(ConvTranspose(out=2, kernel=2, groups=groups), (2, 3, 3)).double().eval()
    x = torch.randn(2, 2, 3, 3, generator=seeded, dtype=torch.float64, requires_grad=True)

    def answer(x: Tensor, weight: Tensor) -> Tensor:
        outcome: Tensor = torch.func.functional_call(module, {"weight": weight}, (x,))
        return outcome

    weight = module.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(answer, (x, weight))
    assert torch.autograd.gradgradcheck(answer, (x, weight))
