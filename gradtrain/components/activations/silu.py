"""The sigmoid linear unit."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class Silu(Activation):
    """Weighs a number by its own sigmoid: a smooth relu that dips below zero; also called swish.

    value     x σ(x),  σ(x) = 1 / (1 + e^-x)
    gradient  σ(x) (1 + x (1 - σ(x)))
    paper     Elfwing, Uchibe & Doya (2018), Neural Networks 107:3-11, arXiv:1702.03118
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x / (1 + torch.exp(-x))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        sigma = 1 / (1 + torch.exp(-x))
        return g * sigma * (1 + x / (1 + torch.exp(x)))
