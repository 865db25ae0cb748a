"""Precision."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import accumulator


class Precision(Metric):
    """Of what was answered as a class, the share that is it; the mean over the classes.

    value     mean over classes of true positives / (true positives + false positives)
    note      Measured by torchmetrics (extra `metrics`). For two classes the precision of the answer yes. A class that
              neither occurs nor is answered is left out; one that is never answered counts as 0.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1", "multilabel")
    mode: ClassVar[Literal["min", "max"]] = "max"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("precision", "Precision", kind, average="macro")
