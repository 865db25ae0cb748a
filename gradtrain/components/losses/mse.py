"""Mean squared error."""

from __future__ import annotations

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor


class Mse(Loss):
    """The squared distance between prediction and target: large errors count most; r = prediction - target.

    value     r²
    gradient  2 r  with respect to prediction
    paper     Legendre (1805), Nouvelles méthodes pour la détermination des orbites des comètes, appendix
    """

    kinds = ("value",)
    cases = [{}, {"reduce": "sum_per_sample"}, {"reduce": "sum"}]

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(prediction, target, reduction="none")

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(prediction, target)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target) ** 2

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * 2 * (prediction - target)
