"""The exponential linear unit."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class Elu(Activation):
    """Passes positive numbers; negative ones bend smoothly towards -alpha, which keeps means near zero.

    value     x  where x > 0,  else alpha (e^x - 1)
    gradient  1  where x > 0,  else alpha e^x
    paper     Clevert, Unterthiner & Hochreiter (2016), ICLR, arXiv:1511.07289
    """

    cases = [{}, {"alpha": 0.7}]

    alpha: PositiveFloat = 1.0
    """Minus the value for very negative inputs."""

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(x, self.alpha)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.alpha * torch.expm1(x.clamp(max=0)))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g * torch.where(x > 0, 1.0, self.alpha * torch.exp(x.clamp(max=0)))

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x
