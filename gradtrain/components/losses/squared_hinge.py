"""Squared hinge loss."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import Tensor, torch


class SquaredHinge(Loss):
    """The hinge loss squared: smooth at the margin, harder on large violations.

    With y = target, which is -1 or +1:

    value     max(0, margin - y prediction)²
    gradient  -2 y max(0, margin - y prediction)  with respect to prediction
    paper     Chang, Hsieh & Lin (2008), J. Mach. Learn. Res. 9:1369-1398
    """

    kinds = ("pm1",)
    cases = [{}, {"margin": 0.5}, {"reduce": "sum_per_sample"}]

    margin: PositiveFloat = 1.0
    """How far on the right side a score must be, in units of the score."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return torch.relu(self.margin - target * prediction).square()

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        gap = self.margin - target * prediction
        return torch.where(gap > 0, gap**2, 0.0)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * -2 * target * torch.clamp(self.margin - target * prediction, min=0)

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.margin - target * prediction
