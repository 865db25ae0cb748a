"""Smooth absolute error."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch


class SmoothL1(Loss):
    """The absolute error with its corner at zero rounded off; r = prediction - target.

    value     r²/(2 beta)  where |r| < beta,  else  |r| - beta/2
    gradient  clip(r/beta, -1, 1)  with respect to prediction
    paper     Girshick (2015), ICCV, Fast R-CNN, arXiv:1504.08083
    note      It is the Huber loss with delta = beta, divided by beta. The paper has beta = 1.
    """

    kinds = ("value",)
    cases = [{}, {"beta": 0.2}, {"reduce": "sum_per_sample"}]

    beta: PositiveFloat = 1.0
    """Residual at which the loss turns linear, in units of the target."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(prediction, target, reduction="none", beta=self.beta)

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(prediction, target, beta=self.beta)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        r = (prediction - target).abs()
        return torch.where(r < self.beta, r**2 / (2 * self.beta), r - self.beta / 2)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * ((prediction - target) / self.beta).clamp(-1, 1)

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs() - self.beta
