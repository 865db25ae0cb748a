"""Softplus."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class Softplus(Activation):
    """A smooth relu that is positive everywhere; its slope is the sigmoid.

    value     log(1 + e^(beta x)) / beta
    gradient  1 / (1 + e^(-beta x))
    paper     Dugas, Bengio, Bélisle, Nadeau & Garcia (2000), NIPS, Incorporating second-order functional knowledge
    note      PyTorch replaces it by x where beta x > threshold. Its default threshold of 20 is wrong by 2e-9 there;
              ours is 40, where the two agree to the last bit of float64.
    """

    cases = [{}, {"beta": 2.5}]

    beta: PositiveFloat = 1.0
    """Sharpness: the larger, the closer to relu."""
    threshold: PositiveFloat = 40.0
    """Value of beta x above which the function is taken as x."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x, self.beta, self.threshold)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        z = self.beta * x
        return (z.clamp(min=0) + torch.log1p(torch.exp(-z.abs()))) / self.beta

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g / (1 + torch.exp(-self.beta * x))
