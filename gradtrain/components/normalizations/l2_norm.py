"""Normalization to unit length."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import PositiveFloat

from gradtrain.components.normalizations import Normalization
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class L2Norm(Normalization):
    """Keeps the direction of every sample's features and makes their length 1.

    Over the last axis of [batch, features] and [batch, time, features], over the channels of images, with
    ŷ = x / ‖x‖ where ‖x‖ > eps:

    value     x / max(‖x‖, eps)
    gradient  (g - ŷ (ŷ · g)) / ‖x‖;  where ‖x‖ <= eps: g / eps
    paper     none of its own; torch.nn.functional.normalize
    shape     as the input; it learns nothing
    """

    cases = [{}, {"eps": 2.0}]

    eps: PositiveFloat = 1e-12
    """Shorter vectors are divided by this instead of their length."""

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import UnitLength

        return UnitLength(self.eps)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x / (x**2).sum(dim=_axis(x), keepdim=True).sqrt().clamp(min=self.eps)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        size = (x**2).sum(dim=_axis(x), keepdim=True).sqrt()
        long = (size > self.eps).to(x.dtype)
        divisor = size.clamp(min=self.eps)
        unit = x / divisor
        return {"x": (g - long * unit * (unit * g).sum(dim=_axis(x), keepdim=True)) / divisor}

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return (x**2).sum(dim=_axis(x), keepdim=True).sqrt() - self.eps


def _axis(x: Tensor) -> int:
    return 1 if x.ndim == 4 else -1
