"""Unit length: over which axis, and what becomes of short vectors."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.normalizations.l2_norm import L2Norm
from gradtrain.stage import Shape


@pytest.mark.parametrize(("shape", "axis"), [((6,), 1), ((4, 6), 2), ((6, 2, 3), 1)], ids=str)
def test_every_vector_of_features_has_length_one(shape: Shape, axis: int, seeded: torch.Generator) -> None:
    x = torch.randn(3, *shape, generator=seeded, dtype=torch.float64)
    y = L2Norm().build(shape)(x)
    torch.testing.assert_close(y.norm(dim=axis), torch.ones_like(y.norm(dim=axis)), rtol=1e-14, atol=0)
    torch.testing.assert_close(y * x.norm(dim=axis, keepdim=True), x, rtol=1e-14, atol=1e-15)


def test_by_hand() -> None:
    x = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    assert L2Norm(eps=1.0).textbook(x).flatten().tolist() == pytest.approx([0.6, 0.8, 0.3, 0.4, 0.0, 0.0])
    dx = L2Norm(eps=1.0).gradient(torch.tensor([[1.0, 0.0]] * 3), x)["x"]
    assert dx.flatten().tolist() == pytest.approx([0.64 / 5, -0.48 / 5, 1.0, 0.0, 1.0, 0.0])


def test_nothing_stays_nothing_and_finite() -> None:
    x = torch.zeros(2, 3, requires_grad=True)
    L2Norm().build((3,))(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
