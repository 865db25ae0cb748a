"""The scaled exponential linear unit."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch

ALPHA, SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
"""α and λ: where mean 0 and variance 1 are a fixed point (Klambauer et al., 2017, equation 14)."""


class Selu(Activation):
    """An elu whose scale keeps the activations of deep networks at mean 0 and variance 1 by itself.

    With α = 1.6732632423543772 and λ = 1.0507009873554805:

    value     λ x where x > 0,  else λ α (exp(x) - 1)
    gradient  λ where x > 0,  else λ α exp(x)
    paper     Klambauer, Unterthiner, Mayr & Hochreiter (2017), NeurIPS, arXiv:1706.02515
    note      It holds for weights of mean 0 and variance 1/fan_in: `kaiming_normal: {nonlinearity: linear}`.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.selu(x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return SCALE * torch.where(x > 0, x, ALPHA * (torch.exp(x.clamp(max=0)) - 1))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g * SCALE * torch.where(x > 0, 1.0, ALPHA * torch.exp(x.clamp(max=0)))

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x
