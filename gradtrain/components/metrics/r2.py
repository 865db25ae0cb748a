"""Coefficient of determination."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

from gradtrain.components.metrics import Metric
from gradtrain.lazy import Tensor, torch


class R2(Metric):
    """The share of the target's variance that the prediction explains: 1 is perfect, 0 no better than the mean.

    value     1 - Σ (target - prediction)² / Σ (target - mean(target))²,  a mean over the outputs
    note      Not a number where a target never changes: there is no variance to explain.
    """

    kinds: ClassVar[tuple[str, ...]] = ("value",)
    mode: ClassVar[Literal["min", "max"]] = "max"

    def sums(self, prediction: Tensor, target: Tensor, kind: str) -> Tensor:
        columns = (len(target), prod(target.shape[1:]))
        y, answer = target.double().reshape(columns), prediction.double().reshape(columns)
        count = torch.full_like(y[0], len(y))
        return torch.stack([count, y.sum(dim=0), y.square().sum(dim=0), (y - answer).square().sum(dim=0)])

    def of_sums(self, sums: Tensor) -> float:
        count, total, squares, residual = sums
        spread = squares - total**2 / count
        constant = spread <= 1e-14 * squares  # what rounding leaves of equal numbers
        return float(torch.where(constant, torch.nan, 1 - residual / spread).mean())
