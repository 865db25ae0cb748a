"""The sine."""

from __future__ import annotations

import math

from pydantic import PositiveFloat

from gradtrain.components.activations import Activation
from gradtrain.lazy import Tensor, torch


class Sine(Activation):
    """A wave: for networks that stand for signals, whose derivatives are waves again.

    value     sin(omega x)
    gradient  omega cos(omega x)
    paper     Sitzmann, Martel, Bergman, Lindell & Wetzstein (2020), NeurIPS, arXiv:2006.09661
    note      The paper uses omega 30 with weights of its own distribution.
    """

    cases = [{}, {"omega": 30.0}]

    omega: PositiveFloat = 1.0
    """Waves in 2π units of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.omega * x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.cos(self.omega * x - math.pi / 2)

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g * self.omega * torch.cos(self.omega * x)
