"""Metrics that torchmetrics measures, imported only when one is asked for."""

from __future__ import annotations

from typing import Any

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Accumulator, Value
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem


class _Torchmetrics:
    def __init__(self, metric: Any, kind: str) -> None:
        self.metric, self.kind = metric, kind

    def add(self, prediction: Tensor, target: Tensor) -> None:
        scores = prediction.softmax(dim=1) if self.kind == "class" else prediction.sigmoid()
        answer = target if self.kind == "class" else (target > 0).long()
        if self.kind in ("binary", "pm1"):
            scores, answer = scores.flatten(), answer.flatten()
        self.metric.update(scores.float(), answer)

    def value(self) -> Value:
        value: Tensor = self.metric.compute()
        return value.double().tolist() if value.ndim else float(value)


def accumulator(name: str, kind: str, facts: Facts, **options: Any) -> Accumulator:
    """A fresh torchmetrics metric for this kind of target. Raises `Problem` when the extra is not installed."""
    try:
        from torchmetrics import classification
    except ImportError:
        raise Problem(
            "extra-missing",
            "this metric is measured by torchmetrics, which is not installed",
            help='pip install "gradtrain[metrics]"',
        ) from None
    classes = facts.classes or 2
    if kind == "class":
        metric = getattr(classification, f"Multiclass{name}")(num_classes=classes, **options)
    elif kind == "multilabel":
        metric = getattr(classification, f"Multilabel{name}")(num_labels=facts.outputs or classes, **options)
    else:
        metric = getattr(classification, f"Binary{name}")(**{k: v for k, v in options.items() if k != "average"})
    metric.set_dtype(torch.float64)
    return _Torchmetrics(metric, kind)
