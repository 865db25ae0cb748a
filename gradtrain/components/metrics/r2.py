"""Coefficient of determination."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.metrics import Metric
from gradtrain.lazy import Tensor, torch


class R2(Metric):
    """The share of the target's variance that the prediction explains: 1 is perfect, 0 no better than the mean.

    value     1 - Σ (target - prediction)² / Σ (target - mean(target))²,  a mean over the outputs
    """

    kinds: ClassVar[tuple[str, ...]] = ("value",)
    mode: ClassVar[Literal["min", "max"]] = "max"

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        y, residual = (
            target.double().reshape(len(target), -1),
            (target - prediction).double().reshape(len(target), -1),
        )
        return torch.stack(
            [torch.full_like(y[0], len(y)), y.sum(dim=0), y.square().sum(dim=0), residual.square().sum(dim=0)]
        )

    def of_sums(self, sums: Tensor) -> float:
        count, total, squares, residual = sums
        spread = squares - total**2 / count
        return float((1 - residual / spread).mean())
