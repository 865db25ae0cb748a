"""Cross-entropy of a softmax over classes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch

NEVER = -(2**40)
"""A label that cannot occur: torch's own default of -100 would swallow a broken label without a word."""


class CrossEntropy(Loss):
    """How surprised the model is by the right class: minus the logarithm of the probability it gave to it.

    With p = softmax(prediction) over K classes and, for a class index y, q_k = (1 - label_smoothing)·[k = y] +
    label_smoothing/K; a target of probabilities t takes the place of [k = y].

    value     -Σ_k weights_k q_k log p_k
    gradient  (Σ_j weights_j q_j) p_k - weights_k q_k  with respect to prediction_k
    paper     Szegedy et al. (2016), CVPR, Rethinking the Inception Architecture, section 7, arXiv:1512.00567
    shape     prediction [batch, class, ...], target int64 [batch, ...] or probabilities [batch, class, ...]
    note      The mean divides by the sum of the weights of the real targets' classes, as PyTorch does; a target of
              probabilities counts 1 a sample. It applies the softmax itself: give it raw scores.
    """

    kinds = ("class",)
    cases = [
        {}, {"label_smoothing": 0.1}, {"weights": (0.5, 1.0, 2.0, 3.0)}, {"weights": (0.5, 1.0, 2.0, 3.0), "label_smoothing": 0.2},
        {"ignore_index": 1}, {"ignore_index": 2, "label_smoothing": 0.1, "weights": (0.5, 1.0, 2.0, 3.0)}, {"reduce": "sum_per_sample"},
    ]  # fmt: skip

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target's probability that is spread evenly over all classes."""
    weights: tuple[PositiveFloat, ...] | None = None
    """One factor a class, in the order of the labels."""
    ignore_index: int | None = None
    """Class index of targets that do not count: they cost nothing, and the mean leaves them out."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self._kernel(prediction, target, "none")

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self._kernel(prediction, target, "mean")

    def _kernel(self, prediction: Tensor, target: Tensor, reduction: str) -> Tensor:
        weight = None if self.weights is None else prediction.new_tensor(self.weights)
        return F.cross_entropy(prediction, target, weight, reduction=reduction, ignore_index=self._ignored, label_smoothing=self.label_smoothing)

    @property
    def _ignored(self) -> int:
        return NEVER if self.ignore_index is None else self.ignore_index

    def _spread(self, prediction: Tensor, target: Tensor) -> Tensor:
        """weights_k q_k for every class, zero at ignored targets, with the classes on axis 1."""
        classes = prediction.shape[1]
        if target.is_floating_point():
            q, real = target, torch.ones_like(target[:, :1])
        else:
            real = (target != self._ignored).to(prediction.dtype).unsqueeze(1)
            indices = torch.arange(classes).reshape(-1, *[1] * (target.ndim - 1))
            q = (target.unsqueeze(1) == indices).to(prediction.dtype)
        q = (1 - self.label_smoothing) * q + self.label_smoothing / classes
        weights = prediction.new_tensor(self.weights or (1.0,) * classes).reshape(-1, *[1] * (prediction.ndim - 2))
        return real * weights * q

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        highest = prediction.max(dim=1, keepdim=True).values
        log_p = prediction - highest - (prediction - highest).exp().sum(dim=1, keepdim=True).log()
        return -(self._spread(prediction, target) * log_p).sum(dim=1)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        scaled = (prediction - prediction.max(dim=1, keepdim=True).values).exp()
        p = scaled / scaled.sum(dim=1, keepdim=True)
        wq = self._spread(prediction, target)
        return g.unsqueeze(1) * (wq.sum(dim=1, keepdim=True) * p - wq)

    def count(self, target: Tensor) -> Tensor | float:
        if target.is_floating_point():
            return float(target.numel() // target.shape[1])
        if self.weights is None and self.ignore_index is None:
            return float(target.numel())
        real = target[target != self.ignore_index] if self.ignore_index is not None else target.flatten()
        if self.weights is None:
            return torch.tensor(float(real.numel()), device=target.device)
        return torch.tensor(self.weights, dtype=torch.float64, device=target.device)[real].sum()

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        logits = 2 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
        probabilities = torch.rand(6, 4, generator=generator, dtype=torch.float64)
        probabilities = probabilities / probabilities.sum(dim=1, keepdim=True)
        labels = torch.tensor([0, 1, 2, 3, 1, 2])
        indexed = [*super().samples(generator), (logits, labels), (logits[:1], labels[3:4])]
        return indexed if self.ignore_index is not None else [*indexed, (logits, probabilities)]
