"""Root mean squared error."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.metrics import Metric, sum_and_count
from gradtrain.lazy import Tensor


class Rmse(Metric):
    """The typical distance between prediction and target, in units of the target; large errors count most.

    value     √(Σ (prediction - target)² / count)
    """

    kinds: ClassVar[tuple[str, ...]] = ("value",)
    mode: ClassVar[Literal["min", "max"]] = "min"

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        return sum_and_count((prediction.double() - target.double()).square())

    def of_sums(self, sums: Tensor) -> float:
        return float((sums[0] / sums[1]).sqrt())
