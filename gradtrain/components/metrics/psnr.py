"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import PositiveFloat

from gradtrain.components.metrics import Metric, sum_and_count
from gradtrain.lazy import Tensor


class Psnr(Metric):
    """How far errors lie below the largest value that a picture can have, in decibels.

    value     10 log₁₀(peak² / mean squared error), over all numbers of the split
    note      The mean of the pictures' own ratios is another, larger number (Jensen's inequality).
    """

    kinds: ClassVar[tuple[str, ...]] = ("value",)
    mode: ClassVar[Literal["min", "max"]] = "max"
    cases = [{}, {"peak": 255.0}]

    peak: PositiveFloat = 1.0
    """The largest possible value, in units of the target."""

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        return sum_and_count((prediction - target).double().square())

    def of_sums(self, sums: Tensor) -> float:
        error = float(sums[0] / sums[1])
        return 10 * math.log10(self.peak**2 / error) if error > 0 else math.inf
