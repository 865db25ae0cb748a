"""The F1 score."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import accumulator


class F1(Metric):
    """The harmonic mean of precision and recall over all answers together.

    value     2 precision recall / (precision + recall), from the counts of all classes together (micro)
    note      Measured by torchmetrics (extra `metrics`). For two classes the score of the answer yes; with one class a
              sample of several, the micro average equals the accuracy.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1", "multilabel")
    mode: ClassVar[Literal["min", "max"]] = "max"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("f1", "F1Score", kind, average="micro")
