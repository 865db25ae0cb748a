"""Group normalization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveFloat, PositiveInt

from gradtrain.components.normalizations import Normalization
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class GroupNorm(Normalization):
    """Gives every group of channels of a sample zero mean and unit variance, whatever else is in the batch.

    Over the channels of a group and all later axes, with the biased variance v and mean m of x, h = g weight:

    value     y = weight x̂ + bias,  x̂ = (x - m) / √(v + eps)
    gradient  dx = (h - mean(h) - x̂ mean(h x̂)) / √(v + eps),  dweight = Σ g x̂,  dbias = Σ g
    paper     Wu & He (2018), ECCV, arXiv:1803.08494
    shape     [batch, channel, ...]; weight and bias [channel]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (4, 5), (4, 3, 5))
    cases = [{"groups": 2}, {"groups": 2, "eps": 0.1}, {"groups": 1}]

    groups: PositiveInt
    """Number of groups; it must divide the channels."""
    eps: PositiveFloat = 1e-5
    """Added to the variance, in squared units of the input."""

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] % self.groups:
            raise Misfit(
                f"group_norm cannot cut {shape[0]} channels into {self.groups} equal groups",
                "write a number of groups that divides the channels",
            )
        return shape

    def build(self, shape: Shape) -> nn.Module:
        return nn.GroupNorm(self.groups, shape[0], eps=self.eps)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        hat, _ = self._normalized(x)
        wide = (1, -1, *[1] * (x.ndim - 2))
        return hat * parameters["weight"].reshape(wide) + parameters["bias"].reshape(wide)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        hat, s = self._normalized(x)
        others = [0, *range(2, x.ndim)]
        h = (g * parameters["weight"].reshape(1, -1, *[1] * (x.ndim - 2))).reshape(len(x), self.groups, -1)
        flat = hat.reshape(h.shape)
        dx = (h - h.mean(dim=2, keepdim=True) - flat * (h * flat).mean(dim=2, keepdim=True)) / s
        return {"x": dx.reshape(x.shape), "weight": (g * hat).sum(dim=others), "bias": g.sum(dim=others)}

    def _normalized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat = x.reshape(len(x), self.groups, -1)
        m = flat.mean(dim=2, keepdim=True)
        s = (((flat - m) ** 2).mean(dim=2, keepdim=True) + self.eps).sqrt()
        return ((flat - m) / s).reshape(x.shape), s
