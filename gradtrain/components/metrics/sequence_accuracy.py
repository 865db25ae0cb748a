"""Accuracy by whole sequences."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.datasets import IGNORED, Facts
from gradtrain.components.metrics import Metric, Value
from gradtrain.lazy import Tensor


class SequenceAccuracy(Metric):
    """The share of sequences in which every answer that counts is right.

    value     mean over sequences of Π_t [answer_t = target_t or target_t does not count]
    note      The answers are given with the true beginning of the sequence at hand. All of them are right exactly when
              the network, reading its own answers instead, writes the whole sequence rightly.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class",)
    mode: ClassVar[Literal["min", "max"]] = "max"

    def start(self, kind: str, facts: Facts) -> _Whole:
        return _Whole()


class _Whole:
    def __init__(self) -> None:
        self.right = self.count = 0

    def add(self, prediction: Tensor, target: Tensor) -> None:
        target = target.reshape(len(target), -1)
        answer = prediction.argmax(dim=1).reshape(len(target), -1)
        self.right += int(((answer == target) | (target == IGNORED)).all(dim=1).sum())
        self.count += len(target)

    def value(self) -> Value:
        return self.right / self.count if self.count else float("nan")
