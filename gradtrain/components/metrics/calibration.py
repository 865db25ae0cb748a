"""Calibration error."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import accumulator


class Calibration(Metric):
    """How far the model's confidence is from how often it is right, in 15 bins.

    value     Σ_b (n_b / n) |accuracy_b - confidence_b|
    paper     Guo, Pleiss, Sun & Weinberger (2017), ICML, arXiv:1706.04599
    note      Measured by torchmetrics (extra `metrics`): expected calibration error. The confidence is the probability
              of the answer; for two classes the probability of yes, compared with how often yes is right.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1")
    mode: ClassVar[Literal["min", "max"]] = "min"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("calibration", "CalibrationError", kind, n_bins=15)
