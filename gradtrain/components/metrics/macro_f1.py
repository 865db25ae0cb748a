"""The mean F1 score of the classes."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import accumulator


class MacroF1(Metric):
    """The F1 score of every class, averaged: rare classes count as much as common ones.

    value     mean over classes of 2 precision recall / (precision + recall)
    note      Measured by torchmetrics (extra `metrics`). For two classes the mean over yes and no. A class that neither
              occurs nor is answered is left out.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1", "multilabel")
    mode: ClassVar[Literal["min", "max"]] = "max"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("macro_f1", "F1Score", kind, average="macro", two_sided=True)
