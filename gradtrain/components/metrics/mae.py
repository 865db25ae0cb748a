"""Mean absolute error."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.metrics import Metric, sum_and_count
from gradtrain.lazy import Tensor


class Mae(Metric):
    """The mean distance between prediction and target, in units of the target.

    value     Σ |prediction - target| / count
    """

    kinds: ClassVar[tuple[str, ...]] = ("value",)
    mode: ClassVar[Literal["min", "max"]] = "min"

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        return sum_and_count((prediction.double() - target.double()).abs())

    def of_sums(self, sums: Tensor) -> float:
        return float(sums[0] / sums[1])
