"""Layer normalization."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import PositiveFloat

from gradtrain.components.normalizations import Normalization
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class LayerNorm(Normalization):
    """Gives every sample zero mean and unit variance over its features, whatever else is in the batch.

    Over the normalized axes, with the biased variance v and mean m of x, h = g weight:

    value     y = weight x̂ + bias,  x̂ = (x - m) / √(v + eps)
    gradient  dx = (h - mean(h) - x̂ mean(h x̂)) / √(v + eps),  dweight = Σ g x̂,  dbias = Σ g
    paper     Ba, Kiros & Hinton (2016), arXiv:1607.06450
    shape     [batch, features] and [batch, time, features]: over the last axis, weight and bias [features];
              [batch, channel, height, width]: over all three, weight and bias [channel, height, width]
    note      nn.LayerNorm leaves the axes to the caller; here the rank of the input decides, by the examples
              of its documentation page: sentences and images.
    """

    cases = [{}, {"eps": 0.1}, {"bias": False}]

    eps: PositiveFloat = 1e-5
    """Added to the variance, in squared units of the input."""
    bias: bool = True
    """Learn a shift beside the scale."""

    def build(self, shape: Shape) -> nn.Module:
        return nn.LayerNorm(list(_normalized(shape)), eps=self.eps, bias=self.bias)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        axes = _axes(x)
        m = x.mean(dim=axes, keepdim=True)
        v = ((x - m) ** 2).mean(dim=axes, keepdim=True)
        y = parameters["weight"] * (x - m) / (v + self.eps).sqrt()
        return y + parameters["bias"] if self.bias else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        axes = _axes(x)
        others = [axis for axis in range(x.ndim) if axis not in axes]
        m = x.mean(dim=axes, keepdim=True)
        s = (((x - m) ** 2).mean(dim=axes, keepdim=True) + self.eps).sqrt()
        hat, h = (x - m) / s, g * parameters["weight"]
        dx = (h - h.mean(dim=axes, keepdim=True) - hat * (h * hat).mean(dim=axes, keepdim=True)) / s
        shift = {"bias": g.sum(dim=others)} if self.bias else {}
        return {"x": dx, "weight": (g * hat).sum(dim=others), **shift}


def _normalized(shape: Shape) -> Shape:
    return shape if len(shape) == 3 else shape[-1:]


def _axes(x: Tensor) -> list[int]:
    return list(range(x.ndim - len(_normalized(tuple(x.shape[1:]))), x.ndim))
