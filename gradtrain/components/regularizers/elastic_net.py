"""The elastic net."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.regularizers import Regularizer
from gradtrain.lazy import Tensor, torch


class ElasticNet(Regularizer):
    """The l1 and the l2 penalty together: sparse, and steady among weights that do the same work.

    value     l1 Σ |w| + l2 Σ w²
    gradient  l1 sign(w) + 2 l2 w, and 0 where w = 0
    paper     Zou & Hastie (2005), J. R. Stat. Soc. B 67(2):301-320, doi:10.1111/j.1467-9868.2005.00503.x
    """

    cases = [{"l1": 0.3, "l2": 0.7}]

    l1: PositiveFloat
    """Strength of the constant pull, in units of the loss per unit of weight."""
    l2: PositiveFloat
    """Strength of the growing pull, in units of the loss per squared unit of weight."""

    def forward(self, weight: Tensor) -> Tensor:
        flat = weight.reshape(-1)
        return flat.abs().sum() * self.l1 + torch.dot(flat, flat) * self.l2

    def textbook(self, weight: Tensor) -> Tensor:
        return (self.l1 * weight.abs() + self.l2 * weight**2).sum()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        return g * (self.l1 * weight.sign() + 2 * self.l2 * weight)

    def kink(self, weight: Tensor) -> Tensor:
        return weight
