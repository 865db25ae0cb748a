"""Logarithm of the hyperbolic cosine."""

from __future__ import annotations

import math

from gradtrain.components.losses import Loss
from gradtrain.lazy import Tensor, torch


class LogCosh(Loss):
    """Quadratic near zero, linear in the tails, smooth everywhere; r = prediction - target.

    value     log(cosh(r))
    gradient  tanh(r)  with respect to prediction
    paper     Green (1990), IEEE Trans. Med. Imaging 9(1):84-93, doi:10.1109/42.52985
    """

    kinds = ("value",)
    cases = [{}, {"reduce": "sum_per_sample"}]

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        r = prediction - target
        return torch.logaddexp(r, -r) - math.log(2)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        # cosh(r) itself is infinite from r = 711 on (in float32 from 89 on).
        r = (prediction - target).abs()
        return r + torch.log((1 + torch.exp(-2 * r)) / 2)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return g * torch.tanh(prediction - target)
