"""Recall."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import accumulator


class Recall(Metric):
    """Of what is a class, the share that was found; the mean over the classes.

    value     mean over classes of true positives / (true positives + false negatives)
    note      Measured by torchmetrics (extra `metrics`). For two classes the recall of the answer yes. A class that
              neither occurs nor is answered is left out; one that never occurs but is answered counts as 0.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1", "multilabel")
    mode: ClassVar[Literal["min", "max"]] = "max"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("recall", "Recall", kind, average="macro")
