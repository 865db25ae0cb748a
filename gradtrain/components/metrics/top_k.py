"""Accuracy among the best k."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from gradtrain.components.metrics import Metric, sum_and_count
from gradtrain.lazy import Tensor


class TopK(Metric):
    """The share of samples whose class is among the k highest scores.

    value     Σ [target among the k highest scores] / count
    """

    cases = [{}, {"k": 2}]
    kinds: ClassVar[tuple[str, ...]] = ("class",)
    mode: ClassVar[Literal["min", "max"]] = "max"

    k: PositiveInt = 5
    """How many answers are allowed."""

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        best = prediction.topk(min(self.k, prediction.shape[1]), dim=1).indices
        return sum_and_count((best == target.unsqueeze(1)).any(dim=1))

    def of_sums(self, sums: Tensor) -> float:
        return float(sums[0] / sums[1])
