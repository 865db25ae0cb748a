"""Instance norm: every picture for itself, in training as in use."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.normalizations.instance_norm import InstanceNorm
from gradtrain.stage import Misfit, Shape


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5)], ids=str)
def test_every_channel_of_every_picture_for_itself(shape: Shape, seeded: torch.Generator) -> None:
    x = 3 + 2 * torch.randn(4, *shape, generator=seeded, dtype=torch.float64)
    module = InstanceNorm(eps=1e-12).build(shape).double()
    y = module(x).flatten(2)
    torch.testing.assert_close(y.mean(dim=2), torch.zeros(4, 3, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(y.var(dim=2, unbiased=False), torch.ones(4, 3, dtype=torch.float64), rtol=1e-9, atol=0)
    torch.testing.assert_close(module(x[:1]), module(x)[:1], rtol=1e-12, atol=1e-12)
    assert torch.equal(module.eval()(x), module.train()(x))


def test_it_learns_a_scale_and_a_shift_unless_told_otherwise() -> None:
    assert [tuple(p.shape) for p in InstanceNorm().build((3, 4, 5)).parameters()] == [(3,), (3,)]
    assert list(InstanceNorm(affine=False).build((3, 4, 5)).parameters()) == []


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 1, 1), (3, 2, 2, 2)], ids=str)
def test_one_number_has_no_variance(shape: Shape) -> None:
    with pytest.raises(Misfit, match="instance_norm"):
        InstanceNorm().output_shape(shape)
