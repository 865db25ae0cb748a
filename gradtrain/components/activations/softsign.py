"""Softsign."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class Softsign(Activation):
    """Squeezes every number into -1..1, more gently than tanh.

    value     x / (1 + |x|)
    gradient  1 / (1 + |x|)²
    paper     Bergstra, Desjardins, Lamblin & Bengio (2009), technical report 1337, Université de Montréal
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.softsign(x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.where(x >= 0, x / (1 + x), x / (1 - x))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g / (1 + x.abs()) ** 2
