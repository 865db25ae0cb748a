"""Pixels to numbers in 0..1."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.transforms import Fitted, Transform
from gradtrain.lazy import Tensor, torch


class ToFloat(Transform):
    """Turns pixels 0..255 into numbers 0..1.

    value     x / max
    note      The same number for every data set, never the largest value met: other ranges name it, `to_float: 16`
              for digits.
    """

    cases = [{}, {"max": 16.0}]

    max: PositiveFloat = 255.0
    """The value that becomes 1."""

    def span(self, low: float, high: float) -> tuple[float, float]:
        return low / self.max, high / self.max

    def forward(self, x: Tensor, fitted: Fitted) -> Tensor:
        return x.to(torch.float32) / self.max

    def inverse(self, x: Tensor, fitted: Fitted) -> Tensor:
        return x * self.max
