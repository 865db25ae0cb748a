"""The family of metrics."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from gradtrain.components.datasets import IGNORED, Facts
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem
from gradtrain.registry import Component

Value = float | list[float] | list[list[float]]


class Accumulator(Protocol):
    """A metric while a split is being read."""

    def add(self, prediction: Tensor, target: Tensor) -> None: ...

    def value(self) -> Value: ...


class Metric(Component):
    """A metric scores the predictions over a whole split, never as a mean of batch means.

    It takes what the loss takes: raw scores `[batch, class]` or values `[batch, ...]`, and targets. A metric that is
    a function of sums over samples defines `sums` and `of_sums`; any other one defines `start`.
    """

    kinds: ClassVar[tuple[str, ...]]
    """The kinds of target (`data.target.kind`) this metric is defined for."""

    mode: ClassVar[Literal["min", "max"]]
    """Which way is better."""

    written: ClassVar[bool] = False
    """Whether it scores the texts that the network writes by itself instead of scores beside the true text."""

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        """The batch's contribution: a float64 vector that adds up over batches."""
        raise NotImplementedError

    def of_sums(self, sums: Tensor) -> Value:
        """The metric's value from the sums over the split."""
        raise NotImplementedError

    def start(self, kind: str, facts: Facts) -> Accumulator:
        """A fresh accumulator for one pass over a split whose targets are of `kind`."""
        return _Sums(self, kind)


class _Sums:
    def __init__(self, metric: Metric, kind: str) -> None:
        self.metric, self.kind = metric, kind
        self.total: Tensor | None = None

    def add(self, prediction: Tensor, target: Tensor) -> None:
        sums = self.metric.sums(*paired(prediction, target, self.kind), self.kind)
        self.total = sums if self.total is None else self.total + sums

    def value(self) -> Value:
        if self.total is None:
            return float("nan")
        return self.metric.of_sums(self.total)


def paired(prediction: Tensor, target: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Both, comparable element by element; class probabilities become class indices, and targets that are marked
    `IGNORED` are left out. Raises `Problem` for other shapes.

    torch would broadcast [batch] beside [batch, 1] to [batch, batch] and score every sample against every other.
    """
    if prediction.device.type == "mps":
        prediction, target = prediction.cpu(), target.cpu()  # it has no float64
    wanted = prediction.shape
    if kind == "class":
        target = target.argmax(dim=1) if target.is_floating_point() else target
        wanted = prediction.shape[:1] + prediction.shape[2:]
    if wanted != target.shape:
        what = f"predictions of the shape {list(prediction.shape)} beside targets of {list(target.shape)}"
        why = f"targets of the kind `{kind}` are compared with predictions of {list(wanted)}"
        raise Problem("output-width", what, why=why, help="change the width of the last layer")
    if kind == "class" and bool((ignored := target == IGNORED).any()):
        return prediction.movedim(1, -1)[~ignored], target[~ignored]
    return prediction, target


def sum_and_count(values: Tensor) -> Tensor:
    """[Σ values, number of values], float64: what a mean over a split adds up."""
    count = torch.tensor(values.numel(), dtype=torch.float64, device=values.device)
    return torch.stack([values.to(torch.float64).sum(), count])


def decided(prediction: Tensor, kind: str) -> Tensor:
    """The answer that raw scores mean: class indices `[batch]`, or true and false `[batch, ...]`."""
    return prediction.argmax(dim=1) if kind == "class" else prediction > 0
