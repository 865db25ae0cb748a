"""Hinge loss of the support vector machine."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import Tensor, torch


class Hinge(Loss):
    """Nothing when the score is on the right side by the margin, else the distance to it.

    With y = target, which is -1 or +1:

    value     max(0, margin - y prediction)
    gradient  -y  where y prediction < margin,  else 0  (0 at the margin),  with respect to prediction
    paper     Cortes & Vapnik (1995), Machine Learning 20:273-297, doi:10.1007/BF00994018
    """

    kinds = ("pm1",)
    cases = [{}, {"margin": 0.5}, {"reduce": "sum_per_sample"}]

    margin: PositiveFloat = 1.0
    """How far on the right side a score must be, in units of the score."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return torch.relu(self.margin - target * prediction)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        gap = self.margin - target * prediction
        return torch.where(gap > 0, gap, 0.0)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * torch.where(target * prediction < self.margin, -target, 0.0)

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.margin - target * prediction
