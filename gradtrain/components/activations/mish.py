"""Mish."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class Mish(Activation):
    """A smooth relu that dips below zero a little, as silu does.

    With s = softplus(x) = log(1 + exp(x)):

    value     x tanh(s)
    gradient  tanh(s) + x σ(x) (1 - tanh²(s)),  σ the sigmoid
    paper     Misra (2020), BMVC, arXiv:1908.08681
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.mish(x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x * torch.tanh(_softplus(x))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        t = torch.tanh(_softplus(x))
        return g * (t + x * torch.sigmoid(x) * (1 - t**2))


def _softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)) without overflow."""
    return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))
