"""Huber's robust loss."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch


class Huber(Loss):
    """Quadratic near zero, linear in the tails; r = prediction - target.

    value     r²/2  where |r| <= delta,  else  delta (|r| - delta/2)
    gradient  clip(r, -delta, delta)  with respect to prediction
    paper     Huber (1964), Ann. Math. Statist. 35(1):73-101, doi:10.1214/aoms/1177703732
    """

    kinds = ("value",)
    cases = [{}, {"delta": 0.3}, {"reduce": "sum_per_sample"}]

    delta: PositiveFloat = 1.0
    """Residual at which the loss turns linear, in units of the target."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(prediction, target, reduction="none", delta=self.delta)

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(prediction, target, delta=self.delta)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        r = (prediction - target).abs()
        return torch.where(r <= self.delta, r**2 / 2, self.delta * (r - self.delta / 2))

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * (prediction - target).clamp(-self.delta, self.delta)

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs() - self.delta
