"""The confusion matrix."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import accumulator


class Confusion(Metric):
    """How often each class (row) was answered as each class (column).

    value     C_ij = number of samples of class i answered as j
    note      Measured by torchmetrics (extra `metrics`).
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1")
    mode: ClassVar[Literal["min", "max"]] = "max"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("confusion", "ConfusionMatrix", kind)
