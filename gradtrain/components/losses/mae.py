"""Mean absolute error."""

from __future__ import annotations

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor


class Mae(Loss):
    """The distance between prediction and target: all errors count alike; r = prediction - target.

    value     |r|
    gradient  sign(r), and 0 where r = 0,  with respect to prediction
    paper     Laplace (1793), Sur quelques points du système du monde, Mém. Acad. Sci. Paris
    """

    kinds = ("value",)
    cases = [{}, {"reduce": "sum_per_sample"}, {"reduce": "sum"}]

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(prediction, target, reduction="none")

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(prediction, target)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs()

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * (prediction - target).sign()

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        return prediction - target
