"""Less when nothing improves any more."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from gradtrain.components.schedules import Schedule


class Plateau(Schedule):
    """The learning rate is reduced when a metric has not improved for a while.

    value     max(lr factor^k, min_lr),  k the number of times that more than `patience` evaluations in a row
              brought no improvement
    paper     PyTorch documentation, ReduceLROnPlateau
    note      Better means smaller by the share `threshold` of the best value's size (mode max: larger). The
              count starts anew after every reduction. PyTorch takes the share of the signed value, so that a
              loss which stands still below 0 improves for ever, and skips reductions smaller than 1e-8.
    """

    watches: ClassVar[bool] = True
    cases = [{}, {"factor": 0.5, "patience": 1, "min_lr": 1e-4}]

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Factor of one reduction."""
    patience: NonNegativeInt = 10
    """Evaluations without improvement that are borne."""
    watch: Annotated[str, Field(pattern=r"(train|val|test)\.[a-z][a-z0-9_]*")] = "val.loss"
    """The metric, as `val.loss`."""
    mode: Literal["min", "max"] = "min"
    """Which way is better."""
    threshold: Annotated[float, Field(ge=0, lt=1)] = 1e-4
    """Smallest relative change that counts as an improvement."""
    min_lr: Annotated[float, Field(ge=0)] = 0.0
    """The lowest learning rate."""

    def start(self) -> dict[str, Any]:
        return {"best": None, "bad": 0, "reductions": 0}

    def observe(self, value: float, memory: dict[str, Any]) -> dict[str, Any]:
        best = memory["best"]
        if self._better(value, best):
            return {**memory, "best": value, "bad": 0}
        bad = memory["bad"] + 1
        if bad > self.patience:
            return {**memory, "bad": 0, "reductions": memory["reductions"] + 1}
        return {**memory, "bad": bad}

    def _better(self, value: float, best: float | None) -> bool:
        if best is None or not math.isfinite(value):
            return math.isfinite(value)
        least = self.threshold * abs(best)
        return value < best - least if self.mode == "min" else value > best + least

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        reductions: int = memory["reductions"]
        return max(float(lr * self.factor**reductions), min(self.min_lr, lr))
