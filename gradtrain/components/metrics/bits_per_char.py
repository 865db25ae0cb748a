"""Bits per character."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from gradtrain.components.metrics import Metric, sum_and_count
from gradtrain.lazy import F, Tensor


class BitsPerChar(Metric):
    """How many bits a symbol of the text costs when the model's guesses write it down.

    value     -Σ log₂ p(target) / count,  p = softmax(prediction)
    paper     Shannon (1951), Bell System Technical Journal 30(1):50-64
    note      A symbol is what the tokenizer makes: a character for `chars`, a byte for `bytes`.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class",)
    mode: ClassVar[Literal["min", "max"]] = "min"

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        return sum_and_count(F.cross_entropy(prediction, target, reduction="none"))

    def of_sums(self, sums: Tensor) -> float:
        return float(sums[0] / sums[1]) / math.log(2)
