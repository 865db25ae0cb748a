"""Quantile loss."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradtrain.components.losses import Loss
from gradtrain.lazy import Tensor, torch


class Quantile(Loss):
    """Too low and too high cost differently, so that the best answer is a quantile; r = target - prediction.

    value     quantile r  where r >= 0,  else  (quantile - 1) r
    gradient  -quantile  where r > 0,  1 - quantile  where r < 0,  0 at r = 0,  with respect to prediction
    paper     Koenker & Bassett (1978), Econometrica 46(1):33-50, doi:10.2307/1913643
    note      Also called the pinball loss. At quantile 0.5 it is half the absolute error.
    """

    kinds = ("value",)
    cases = [{}, {"quantile": 0.9}, {"quantile": 0.05, "reduce": "sum_per_sample"}]

    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The share of targets that should lie below the prediction."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        # Two rectifiers rather than a maximum of two slopes: at r = 0 their gradient is 0, as that of `mae` is.
        r = target - prediction
        return self.quantile * torch.relu(r) + (1 - self.quantile) * torch.relu(-r)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        r = target - prediction
        return torch.where(r >= 0, self.quantile * r, (self.quantile - 1) * r)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        r = target - prediction
        slope = torch.where(r > 0, r.new_tensor(-self.quantile), r.new_tensor(1 - self.quantile))
        return g * torch.where(r == 0, 0.0, slope)

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        return target - prediction
