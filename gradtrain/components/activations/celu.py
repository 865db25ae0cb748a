"""The continuously differentiable exponential linear unit."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.activations import Activation
from gradtrain.lazy import Tensor, torch


class Celu(Activation):
    """An elu whose slope is 1 at zero for every alpha: smooth everywhere.

    value     x where x > 0,  else alpha (exp(x / alpha) - 1)
    gradient  1 where x > 0,  else exp(x / alpha)
    paper     Barron (2017), arXiv:1704.07483
    note      torch's kernel holds 1/alpha in float32, which costs float64 eight digits unless alpha is a power of two;
              this one is spelled out.
    """

    cases = [{}, {"alpha": 0.3}, {"alpha": 2.0}]

    alpha: PositiveFloat = 1.0
    """Below -alpha no output goes, in units of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.alpha * torch.expm1(x.clamp(max=0) / self.alpha))

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.alpha * (torch.exp(x.clamp(max=0) / self.alpha) - 1))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g * torch.where(x > 0, 1.0, torch.exp(x.clamp(max=0) / self.alpha))
