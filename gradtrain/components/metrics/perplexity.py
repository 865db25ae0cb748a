"""Perplexity."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from gradtrain.components.metrics import Metric, sum_and_count
from gradtrain.lazy import F, Tensor


class Perplexity(Metric):
    """Among how many equally likely symbols the model would be as unsure as it is.

    value     exp(-Σ log p(target) / count),  p = softmax(prediction)
    paper     Jelinek, Mercer, Bahl & Baker (1977), J. Acoust. Soc. Am. 62(S1):S63
    note      From sums over the whole split: the exponential of a mean of batch means would be another number.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class",)
    mode: ClassVar[Literal["min", "max"]] = "min"

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        return sum_and_count(F.cross_entropy(prediction, target, reduction="none"))

    def of_sums(self, sums: Tensor) -> float:
        return math.exp(min(float(sums[0] / sums[1]), 700.0))
