"""The rectified linear unit."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import Tensor, torch


class Relu(Activation):
    """Passes positive numbers and cuts the rest to zero; a unit that is never positive learns nothing.

    value     max(0, x)
    gradient  1  where x > 0,  else 0  (0 at 0)
    paper     Nair & Hinton (2010), ICML, Rectified linear units improve restricted Boltzmann machines
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.0)

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return torch.where(x > 0, g, 0.0)

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x
