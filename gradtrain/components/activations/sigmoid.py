"""The logistic function."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import Tensor, torch


class Sigmoid(Activation):
    """Squeezes every number into 0..1; far from zero its slope vanishes.

    value     y = 1 / (1 + e^-x)
    gradient  y (1 - y)
    paper     Verhulst (1845), Nouv. mém. Acad. r. Sci. Bruxelles 18:1-41
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        small = torch.exp(-x.abs())
        return torch.where(x >= 0, 1.0, small) / (1 + small)

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        small = torch.exp(-x.abs())
        return g * small / (1 + small) ** 2
