"""Accuracy."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.metrics import Metric, decided, sum_and_count
from gradtrain.lazy import Tensor


class Accuracy(Metric):
    """The share of answers that are right.

    value     Σ [answer = target] / count;  the answer is the class with the highest score, or the sign of the score
    note      For several labels a sample, the share of labels; for two classes, a score of exactly 0 answers no.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1", "multilabel")
    mode: ClassVar[Literal["min", "max"]] = "max"

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        right = decided(prediction, kind) == (target if kind == "class" else target > 0)
        return sum_and_count(right)

    def of_sums(self, sums: Tensor) -> float:
        return float(sums[0] / sums[1])
