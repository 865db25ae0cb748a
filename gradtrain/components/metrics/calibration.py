"""Calibration error."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Metric
from gradtrain.components.metrics._torchmetrics import accumulator


class Calibration(Metric):
    """How far the model's confidence is from how often it is right, in 15 bins.

    value     Σ_b (n_b / n) |accuracy_b - confidence_b|
    note      Measured by torchmetrics (extra `metrics`).
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1")
    mode: ClassVar[Literal["min", "max"]] = "min"

    def start(self, kind: str, facts: Facts) -> Accumulator:
        return accumulator("CalibrationError", kind, facts, n_bins=15)
