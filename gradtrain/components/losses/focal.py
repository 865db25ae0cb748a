"""Focal loss."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.components.losses._labels import factors, is_class
from gradtrain.lazy import F, Tensor, torch
from gradtrain.problems import Problem
from gradtrain.stage import Shape


class Focal(Loss):
    """Cross-entropy that cares little for what is already right: rare and hard examples weigh more.

    With p the probability of the right answer, sigmoid(±prediction) for yes or no or softmax(prediction)_y for a
    class y, and w = alpha for yes, 1 - alpha for no, weights_y for a class:

    value     -w (1 - p)^gamma log p
    gradient  w (gamma p log p - (1 - p)) (1 - p)^gamma  with respect to ±prediction (yes or no);
              w ([k = y] - p_k) (gamma p (1 - p)^(gamma - 1) log p - (1 - p)^gamma)  to prediction_k (classes)
    paper     Lin et al. (2017), ICCV, Focal Loss for Dense Object Detection, arXiv:1708.02002
    shape     yes or no: prediction and target [batch, ...], real, one number per element; classes: prediction
              [batch, class, ...], target int64 [batch, ...], one number per sample
    note      It applies sigmoid or softmax itself: give it raw scores. The paper divides the sum by the number of
              objects; the mean here divides by the number of targets. gamma 0 is cross-entropy.
    """

    kinds = ("binary", "multilabel", "class")
    scores_classes = True
    applies = ("softmax", "sigmoid")
    cases = [
        {},
        {"alpha": 0.25},
        {"gamma": 0.5, "reduce": "sum_per_sample"},
        {"gamma": 0.0, "alpha": 0.9},
        {"gamma": 1.0, "weights": (0.5, 1.0, 2.0, 3.0)},
        {"gamma": 0.5, "weights": (0.5, 2.0, 3.0)},
    ]

    gamma: NonNegativeFloat = 2.0
    """How fast an example's weight falls as its answer gets right."""
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Factor of yes; no has 1 - alpha. Nothing: both have 1. The paper's choice at gamma 2 is 0.25."""
    weights: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] | None = None
    """One factor a class, in the order of the labels."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        # s is the logit of p: log p and log(1 - p) are both exact in it, where 1 - p would be 0 for a sure answer.
        if target.is_floating_point():
            s = (2 * target - 1) * prediction
        else:
            right = target.unsqueeze(1)
            others = prediction.scatter(1, right, -torch.inf)
            s = (prediction.gather(1, right) - others.logsumexp(1, keepdim=True)).squeeze(1)
        return -self._weight(prediction, target) * torch.exp(self.gamma * F.logsigmoid(-s)) * F.logsigmoid(s)

    def _weight(self, prediction: Tensor, target: Tensor) -> Tensor:
        answers = target.is_floating_point()
        if (self.weights if answers else self.alpha) is not None:
            wrong, right = ("weights", "alpha") if answers else ("alpha", "weights")
            raise Problem(
                "loss-weights",
                f"`focal` has `{wrong}`, and its targets are {'yes or no' if answers else 'class labels'}",
                why="`alpha` weighs yes against no, `weights` holds one factor a class",
                help=f"write `{right}` instead, or leave `{wrong}` out",
            )
        if not answers:
            return factors("focal", self.weights, prediction)[target]
        if self.alpha is None:
            return prediction.new_ones(())
        return self.alpha * target + (1 - self.alpha) * (1 - target)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        p, wrong = self._probabilities(prediction, target)
        return -self._weight(prediction, target) * wrong**self.gamma * p.log()

    def _probabilities(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """p and 1 - p, each from its own exponentials: neither loses its digits where the other is nearly 1."""
        if target.is_floating_point():
            yes, no = 1 / (1 + torch.exp(-prediction)), 1 / (1 + torch.exp(prediction))
            return torch.where(target == 1, yes, no), torch.where(target == 1, no, yes)
        shares, right = _shares(prediction), is_class(target, prediction)
        return (shares * right).sum(dim=1), (shares * (1 - right)).sum(dim=1)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        p, wrong = self._probabilities(prediction, target)
        by_log_p = g * self._weight(prediction, target) * (self.gamma * p * p.log() / wrong - 1) * wrong**self.gamma
        if target.is_floating_point():
            return torch.where(target == 1, by_log_p, -by_log_p) * wrong
        right = is_class(target, prediction)
        left_over = torch.where(right == 1, wrong.unsqueeze(1), -_shares(prediction))
        return by_log_p.unsqueeze(1) * left_over

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        return tuple(target.shape)

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Answers of yes or no, or labels of as many classes as weights; far scores and extra axes in both."""
        points: list[tuple[Tensor, Tensor]] = super().samples(generator) if self.weights is None else []
        if self.alpha is not None:
            return points
        classes = 4 if self.weights is None else len(self.weights)
        for size, *shape in ((2, 7), (2, 3, 2), (40, 5), (1, 1)):
            drawn = torch.randn(shape[0], classes, *shape[1:], generator=generator, dtype=torch.float64)
            points.append((size * drawn, torch.randint(0, classes, shape, generator=generator)))
        return points


def _shares(scores: Tensor) -> Tensor:
    """exp(scores_k) / Σ_j exp(scores_j) over axis 1."""
    scaled = (scores - scores.max(dim=1, keepdim=True).values).exp()
    return scaled / scaled.sum(dim=1, keepdim=True)
