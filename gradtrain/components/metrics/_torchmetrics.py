"""Metrics that torchmetrics measures, imported only when one is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from gradtrain.components.metrics import Accumulator, Value, paired
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem


class Scored:
    """One pass over a split with a fresh torchmetrics metric, made when the first batch tells the number of classes."""

    def __init__(self, make: Callable[[int], Any], kind: str, sides: int) -> None:
        self.make, self.kind, self.sides = make, kind, sides
        self.metric: Any = None
        self.finite = True
        self.positives: Tensor | int = 0
        self.count = 0

    def add(self, prediction: Tensor, target: Tensor) -> None:
        prediction, target = paired(prediction.detach(), target, self.kind)
        self.finite = self.finite and bool(prediction.isfinite().all())
        scores = prediction.double()
        if self.kind == "class":
            scores, positive = scores.softmax(dim=1), torch.stack([target == k for k in range(scores.shape[1])], dim=-1)
        else:
            positive = target > 0
            target = positive.long()
            scores = (scores > 0).long() if self.sides == 2 else scores.sigmoid()
        if self.kind in ("binary", "pm1") or (self.kind == "multilabel" and scores.shape[1] == 1):
            scores, target = scores.flatten(), target.flatten()
        if self.metric is None:
            self.metric = self.make(prediction.shape[1] if prediction.ndim > 1 else 1)
            self.metric.set_dtype(torch.float64).to(prediction.device)
        self.positives = self.positives + positive.reshape(-1, positive.shape[-1]).sum(dim=0)
        self.count += positive.numel() // positive.shape[-1]
        self.metric.update(scores, target)

    def computed(self) -> Tensor:
        """The metric's own answer; NaN after predictions that are no numbers, or after none at all."""
        if self.metric is None or not self.finite:
            return torch.tensor(torch.nan)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # classes that do not occur: each metric's note says what is done
            value: Tensor = self.metric.compute()
        return value.double()

    def value(self) -> Value:
        value = self.computed()
        return value.tolist() if value.ndim else float(value)


def accumulator(
    name: str, measures: str, kind: str, of: type[Scored] = Scored, two_sided: bool = False, **options: Any
) -> Accumulator:
    """A fresh accumulator of the metric `name`, torchmetrics' `measures`, for this kind of target.

    `two_sided` takes yes and no as two classes. Raises `Problem` when the extra is not installed.
    """
    try:
        from torchmetrics import classification
    except ImportError:
        raise missing(name) from None

    def make(width: int) -> Any:
        if kind == "class":
            return getattr(classification, f"Multiclass{measures}")(num_classes=width, **options)
        if kind == "multilabel" and width > 1:
            return getattr(classification, f"Multilabel{measures}")(num_labels=width, **options)
        if two_sided and kind != "multilabel":
            return getattr(classification, f"Multiclass{measures}")(num_classes=2, **options)
        return getattr(classification, f"Binary{measures}")(**{k: v for k, v in options.items() if k != "average"})

    return of(make, kind, 2 if two_sided and kind in ("binary", "pm1") else 1)


def missing(name: str) -> Problem:
    """The refusal of the metric `name` where the extra is not installed."""
    what = f"`{name}` is measured by torchmetrics, which is not installed"
    return Problem("extra-missing", what, why="it is an extra of gradtrain", help='pip install "gradtrain[metrics]"')
