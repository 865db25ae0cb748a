"""Where several elements of a window are largest, the gradient goes where PyTorch's goes: to the first."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.layers.max_pool import MaxPool
from gradtrain.stage import Shape


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 6)], ids=str)
@pytest.mark.parametrize("pool", [MaxPool(kernel=2), MaxPool(kernel=3, stride=1, padding=1)], ids=["2", "overlapping"])
def test_ties_go_to_the_first(shape: Shape, pool: MaxPool, seeded: torch.Generator) -> None:
    x = torch.randint(0, 2, (20, *shape), generator=seeded).double().requires_grad_()
    y = pool.build(shape)(x)
    g = torch.randn(y.shape, generator=seeded, dtype=torch.float64)
    (expected,) = torch.autograd.grad(y, x, g)
    torch.testing.assert_close(pool.gradient(g, x)["x"], expected, rtol=0, atol=1e-12)


def test_a_tie_by_hand() -> None:
    x = torch.tensor([[[1.0, 1.0, 0.0, 2.0]]])
    assert MaxPool(kernel=2).gradient(torch.tensor([[[5.0, 7.0]]]), x)["x"].tolist() == [[[5.0, 0.0, 0.0, 7.0]]]
    assert MaxPool(kernel=2).kink(x).tolist() == [[[0.0, 2.0]]]
