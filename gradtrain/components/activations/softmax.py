"""Softmax over the classes."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import Tensor, torch


class Softmax(Activation):
    """Turns scores into probabilities that add up to one, over axis 1 (the classes).

    value     p_k = e^(x_k) / Σ_j e^(x_j)
    gradient  p_k (g_k - Σ_j g_j p_j)
    paper     Bridle (1990), NATO ASI Series F68:227-236, doi:10.1007/978-3-642-76153-9_28
    note      `cross_entropy` applies it itself: a model that ends in softmax is refused before that loss.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x, dim=1)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        scaled = torch.exp(x - x.max(dim=1, keepdim=True).values)
        return scaled / scaled.sum(dim=1, keepdim=True)

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        p = self.textbook(x)
        return p * (g - (g * p).sum(dim=1, keepdim=True))
