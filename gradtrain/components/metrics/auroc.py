"""Area under the receiver operating characteristic."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import accumulator


class Auroc(Metric):
    """The chance that a positive sample scores higher than a negative one; the mean over the classes.

    value     area under the curve of true over false positive rate
    note      Measured by torchmetrics (extra `metrics`).
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1", "multilabel")
    mode: ClassVar[Literal["min", "max"]] = "max"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("AUROC", kind, facts)
