"""The orthogonality penalty."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradtrain.components.regularizers import Regularizer, rows
from gradtrain.lazy import Tensor, torch


class Orthogonal(Regularizer):
    """A pull towards weights whose directions have nothing in common, so that no signal is stretched or lost.

    With W the weight as a matrix, one row an output, transposed where it has more rows than columns:

    value     strength ‖W Wᵀ - I‖²
    gradient  4 strength (W Wᵀ - I) W
    paper     Brock, Lim, Ritchie & Weston (2017), ICLR, arXiv:1609.07093
    note      The product is taken on the shorter side, where it can be the identity.
    """

    cases = [{"strength": 0.3}]

    strength: Annotated[float, Field(ge=0)]
    """λ, in units of the loss."""

    def forward(self, weight: Tensor) -> Tensor:
        w = _wide(weight)
        return (w @ w.T - torch.eye(len(w), dtype=w.dtype, device=w.device)).square().sum() * self.strength

    def textbook(self, weight: Tensor) -> Tensor:
        w = _wide(weight)
        products = (w.unsqueeze(0) * w.unsqueeze(1)).sum(dim=2)
        return self.strength * ((products - torch.eye(len(w), dtype=w.dtype)) ** 2).sum()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        w = _wide(weight)
        slope = 4 * self.strength * g * (w @ w.T - torch.eye(len(w), dtype=w.dtype)) @ w
        tall = len(rows(weight)) > rows(weight).shape[1]
        return (slope.T if tall else slope).reshape(weight.shape)


def _wide(weight: Tensor) -> Tensor:
    flat = rows(weight)
    return flat.T if len(flat) > flat.shape[1] else flat
