"""Negative log-likelihood of class labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.components.losses._labels import NEVER, counted, factors, is_class
from gradtrain.lazy import F, Tensor, torch


class Nll(Loss):
    """Minus the logarithm of the probability of the right class, where the network puts out logarithms.

    With y = target and prediction_k = log p_k:

    value     -weights_y prediction_y,  and 0 at ignored targets
    gradient  -weights_y [k = y]  with respect to prediction_k
    paper     Fisher (1922), Phil. Trans. R. Soc. A 222:309-368, doi:10.1098/rsta.1922.0009
    shape     prediction [batch, class, ...], target int64 [batch, ...]; one number per sample: [batch, ...]
    note      The network ends in `log_softmax`; after a softmax the loss is negative and has no meaning. For raw scores
              take `cross_entropy`. The mean divides by the sum of the weights of the real targets, as PyTorch's does.
    """

    kinds = ("class",)
    scores_classes = True
    cases = [
        {},
        {"weights": (0.5, 1.0, 2.0, 3.0)},
        {"ignore_index": 1},
        {"ignore_index": -1, "weights": (0.5, 1.0, 2.0, 3.0)},
        {"reduce": "sum_per_sample"},
    ]

    weights: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] | None = None
    """One factor a class, in the order of the labels."""
    ignore_index: int | None = None
    """Label of targets that do not count: they cost nothing, and the mean leaves them out.

    It is nan for a batch that has no other, as in PyTorch."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self._kernel(prediction, target, "none")

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self._kernel(prediction, target, "mean")

    def _kernel(self, prediction: Tensor, target: Tensor, reduction: str) -> Tensor:
        weight = None if self.weights is None else factors("nll", self.weights, prediction)
        ignored = NEVER if self.ignore_index is None else self.ignore_index
        return F.nll_loss(prediction, target, weight, ignore_index=ignored, reduction=reduction)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        return -(self._shares(prediction, target) * prediction).sum(dim=1)

    def _shares(self, prediction: Tensor, target: Tensor) -> Tensor:
        """weights_k [k = target], on axis 1; zero at ignored targets."""
        weights = factors("nll", self.weights, prediction).reshape(-1, *[1] * (prediction.ndim - 2))
        real = target != (NEVER if self.ignore_index is None else self.ignore_index)
        return is_class(target, prediction) * weights * real.unsqueeze(1)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return -g.unsqueeze(1) * self._shares(prediction, target)

    def count(self, target: Tensor) -> Tensor | float:
        return counted(target, self.weights, self.ignore_index)

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """The family's as log-probabilities, with ignored labels among them; extra axes."""
        points = [(scores.log_softmax(1), labels.clone()) for scores, labels in super().samples(generator)]
        if self.ignore_index is not None:
            for _, labels in points:
                labels.view(-1)[0] = self.ignore_index
        return points
