"""Cross-entropy of a softmax over classes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.components.losses._labels import NEVER, counted, factors, is_class
from gradtrain.lazy import F, Tensor, torch
from gradtrain.problems import Problem


class CrossEntropy(Loss):
    """How surprised the model is by the right class: minus the logarithm of the probability it gave to it.

    With p = softmax(prediction) over K classes and, for a class index y, q_k = (1 - label_smoothing) [k = y]
    + label_smoothing/K; a target of probabilities takes the place of [k = y].

    value     -Σ_k weights_k q_k log p_k,  and 0 at ignored targets
    gradient  (Σ_j weights_j q_j) p_k - weights_k q_k  with respect to prediction_k
    paper     Szegedy et al. (2016), CVPR, Rethinking the Inception Architecture, section 7, arXiv:1512.00567
    shape     prediction [batch, class, ...], target int64 [batch, ...] or probabilities [batch, class, ...]
    note      The mean divides by the sum of the weights of the real targets' classes, as PyTorch's does; a
              target of probabilities counts 1 a sample, whatever the weights. It applies the softmax itself:
              give it raw scores. No label is ignored by default, where PyTorch ignores -100.
    """

    kinds = ("class",)
    scores_classes = True
    applies = ("softmax",)
    cases = [
        {},
        {"label_smoothing": 0.1},
        {"weights": (0.5, 1.0, 2.0, 3.0)},
        {"weights": (0.5, 1.0, 2.0, 3.0, 0.3), "label_smoothing": 0.2},
        {"ignore_index": 1},
        {"ignore_index": -100, "label_smoothing": 0.1},
        {"ignore_index": 255, "weights": (0.5, 1.0, 2.0, 3.0)},
        {"ignore_index": 2, "label_smoothing": 0.1, "weights": (0.5, 1.0, 2.0, 3.0)},
        {"reduce": "sum_per_sample"},
    ]

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target's probability that is spread evenly over all classes."""
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
        weight = None if self.weights is None else factors("cross_entropy", self.weights, prediction)
        if self.ignore_index is not None and target.is_floating_point():
            raise Problem(
                "ignored-probabilities",
                f"`ignore_index: {self.ignore_index}` with a target of probabilities",
                why="`ignore_index` is a label, and probabilities have none",
                help="leave `ignore_index` out, or give class indices as the target",
            )
        return F.cross_entropy(
            prediction,
            target,
            weight,
            reduction=reduction,
            ignore_index=self._ignored,
            label_smoothing=self.label_smoothing,
        )

    @property
    def _ignored(self) -> int:
        return NEVER if self.ignore_index is None else self.ignore_index

    def _shares(self, prediction: Tensor, target: Tensor) -> Tensor:
        """weights_k q_k for every class k, on axis 1; zero at ignored targets."""
        classes = prediction.shape[1]
        if target.is_floating_point():
            real, q = torch.ones_like(target[:, :1]), target
        else:
            real = (target != self._ignored).unsqueeze(1)
            q = is_class(target, prediction)
        q = (1 - self.label_smoothing) * q + self.label_smoothing / classes
        weights = factors("cross_entropy", self.weights, prediction).reshape(-1, *[1] * (prediction.ndim - 2))
        return real * weights * q

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        below = prediction - prediction.max(dim=1, keepdim=True).values
        log_p = below - below.exp().sum(dim=1, keepdim=True).log()
        return -(self._shares(prediction, target) * log_p).sum(dim=1)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        scaled = (prediction - prediction.max(dim=1, keepdim=True).values).exp()
        p = scaled / scaled.sum(dim=1, keepdim=True)
        wq = self._shares(prediction, target)
        return g.unsqueeze(1) * (wq.sum(dim=1, keepdim=True) * p - wq)

    def count(self, target: Tensor) -> Tensor | float:
        if target.is_floating_point():
            return float(target.numel() // target.shape[1])
        return counted(target, self.weights, self.ignore_index)

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """As many classes as weights: extra axes, one sample, far scores, ignored labels, probabilities."""
        classes = 4 if self.weights is None else len(self.weights)
        scores: list[Tensor] = []
        points: list[tuple[Tensor, Tensor]] = []
        for size, *shape in ((2, 7), (2, 3, 2), (2, 2, 2, 3), (2, 1), (40, 5)):
            drawn = torch.randn(shape[0], classes, *shape[1:], generator=generator, dtype=torch.float64)
            scores.append(size * drawn)
            labels = torch.randint(0, classes, shape, generator=generator)
            if self.ignore_index is not None and labels.numel() > 1:
                labels.view(-1)[0] = self.ignore_index
            points.append((scores[-1], labels))
        if self.ignore_index is not None:
            return [*points, (scores[0], torch.full((7,), self.ignore_index))]
        return points + [(x, torch.rand(x.shape, generator=generator).double().softmax(1)) for x in scores]
