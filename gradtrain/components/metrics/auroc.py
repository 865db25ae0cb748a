"""Area under the receiver operating characteristic."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import Scored, accumulator
from gradtrain.lazy import torch


class Auroc(Metric):
    """The chance that a positive sample scores higher than a negative one; the mean over the classes.

    value     area under the curve of true over false positive rate, each class against all others
    paper     Hanley & McNeil (1982), Radiology 143(1):29-36, doi:10.1148/radiology.143.1.7063747
    note      Measured by torchmetrics (extra `metrics`). The mean leaves out classes that lack positive or negative
              samples in the split; not a number when no class is left.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1", "multilabel")
    mode: ClassVar[Literal["min", "max"]] = "max"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("auroc", "AUROC", kind, _Area, average="none")


class _Area(Scored):
    def value(self) -> float:
        areas = self.computed().reshape(-1)
        if not bool(areas.isfinite().all()):
            return float("nan")
        positives = torch.as_tensor(self.positives)
        defined = ((positives > 0) & (positives < self.count)).reshape(-1).to(areas.device)
        return float(areas[defined].mean()) if bool(defined.any()) else float("nan")
