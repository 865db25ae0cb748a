"""The hyperbolic tangent."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import Tensor, torch


class Tanh(Activation):
    """Squeezes every number into -1..1 around zero; far from zero its slope vanishes.

    value     y = (e^x - e^-x) / (e^x + e^-x)
    gradient  1 - y²
    paper     LeCun, Bottou, Orr & Müller (1998), Efficient BackProp, doi:10.1007/3-540-49430-8_2
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return -x.sign() * torch.expm1(-2 * x.abs()) / (1 + torch.exp(-2 * x.abs()))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        y = torch.tanh(x)
        return g * (1 - y) * (1 + y)
