"""Softplus."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class Softplus(Activation):
    """A smooth relu that is positive everywhere; its slope is the sigmoid.

    value     log(1 + e^(beta x)) / beta,  and x  where beta x > threshold
    gradient  1 / (1 + e^(-beta x)),  and 1  where beta x > threshold
    paper     Dugas, Bengio, Bélisle, Nadeau & Garcia (2000), NIPS 13:472-478
    note      The threshold is PyTorch's, not the paper's. Above it x stands for a value that is larger by at
              most e^-threshold / beta: 2e-9 by default, too little for float32 to see there. With
              `threshold: 40` float64 does not see it either.
    """

    cases = [{}, {"beta": 2.5}, {"threshold": 2.0}, {"beta": 0.7, "threshold": 40.0}]

    beta: PositiveFloat = 1.0
    """Sharpness: the larger, the closer to relu."""
    threshold: PositiveFloat = 20.0
    """Value of beta x above which the function is taken as x."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x, self.beta, self.threshold)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        z = self.beta * x
        return torch.where(z > self.threshold, x, (z.clamp(min=0) + torch.log1p(torch.exp(-z.abs()))) / self.beta)

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        z = self.beta * x
        return torch.where(z > self.threshold, g, g / (1 + torch.exp(-z)))

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return self.beta * x - self.threshold
