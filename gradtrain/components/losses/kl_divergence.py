"""Kullback-Leibler divergence, with a temperature: knowledge distillation."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch
from gradtrain.stage import Shape


class KlDivergence(Loss):
    """How much is lost when one distribution is taken for another; between a student's and a teacher's, softened.

    With p = softmax(prediction/T), q = softmax(target/T) and T = temperature:

    value     T² Σ_k q_k (log q_k - log p_k)
    gradient  T (p_k - q_k)  with respect to prediction_k
    paper     Hinton, Vinyals & Dean (2015), Distilling the Knowledge in a Neural Network, arXiv:1503.02531
    shape     prediction and target [batch, class, ...]; one number per sample: [batch, ...]
    note      Raw scores and log-probabilities are the same to a softmax: give it either. The factor T², which keeps the
              gradient's size as T grows, is left out by `scale_t2: false`. PyTorch's kl_div takes log p first and by
              default divides by the number of elements instead of samples. Kullback & Leibler (1951), Ann. Math.
              Statist. 22(1):79-86.
    """

    kinds = ("value",)
    applies = ("softmax",)
    cases = [
        {},
        {"temperature": 10.0},
        {"target_as": "probabilities"},
        {"target_as": "probabilities", "temperature": 2.5},
        {"temperature": 3.0, "scale_t2": False},
        {"reduce": "sum_per_sample"},
    ]

    temperature: PositiveFloat = 1.0
    """Divides the scores of both: above 1, small probabilities weigh more."""
    target_as: Literal["scores", "probabilities"] = "scores"
    """What the target holds: raw scores (or log-probabilities), or probabilities that sum to 1."""
    scale_t2: bool = True
    """Multiply by temperature²."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        log_p = F.log_softmax(prediction / self.temperature, dim=1)
        if self.target_as == "scores":
            log_q = F.log_softmax(target / self.temperature, dim=1)
            lost = F.kl_div(log_p, log_q, reduction="none", log_target=True)
        else:
            q = target if self.temperature == 1 else torch.softmax(target.log() / self.temperature, dim=1)
            lost = F.kl_div(log_p, q, reduction="none")
        return lost.sum(dim=1) * self._scale

    @property
    def _scale(self) -> float:
        return self.temperature**2 if self.scale_t2 else 1.0

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        q, log_p = self._soft_target(target), _log_of_shares(prediction / self.temperature)
        return self._scale * (torch.xlogy(q, q) - q * log_p).sum(dim=1)

    def _soft_target(self, target: Tensor) -> Tensor:
        if self.target_as == "scores":
            return _log_of_shares(target / self.temperature).exp()
        q = target ** (1 / self.temperature)
        return q / q.sum(dim=1, keepdim=True)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        p = _log_of_shares(prediction / self.temperature).exp()
        return g.unsqueeze(1) * (p - self._soft_target(target)) * self._scale / self.temperature

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        return (len(prediction), *prediction.shape[2:])

    def count(self, target: Tensor) -> Tensor | float:
        return float(target.numel() // target.shape[1])

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Generic and far scores, equal ones, log-probabilities, extra axes; certain targets among probabilities."""
        points = []
        for size, *shape in ((2, 7, 4), (20, 5, 3), (1, 1, 2), (2, 2, 3, 2)):
            scores = size * torch.randn(2, *shape, generator=generator, dtype=torch.float64)
            points.append((scores[0], scores[1]))
        student, teacher = points[0]
        points += [(student.log_softmax(1), teacher.log_softmax(1)), (student, student.clone())]
        if self.target_as == "scores":
            return points
        certain = torch.eye(4, dtype=torch.float64)[torch.randint(0, 4, (7,), generator=generator)]
        return [*((x, y.softmax(1)) for x, y in points), (student, certain)]


def _log_of_shares(scores: Tensor) -> Tensor:
    """log(exp(scores_k) / Σ_j exp(scores_j)) over axis 1."""
    below = scores - scores.max(dim=1, keepdim=True).values
    return below - below.exp().sum(dim=1, keepdim=True).log()
