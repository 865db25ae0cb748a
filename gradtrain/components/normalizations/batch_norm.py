"""Batch normalization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, PositiveFloat

from gradtrain.components.normalizations import Normalization
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class BatchNorm(Normalization):
    """Gives every channel zero mean and unit variance over the batch, then scales and shifts it by learned numbers.

    Over the batch and all axes but the channel, with the biased variance v and mean m of x, h = g weight:

    value     y = weight x̂ + bias,  x̂ = (x - m) / √(v + eps)
    gradient  dx = (h - mean(h) - x̂ mean(h x̂)) / √(v + eps),  dweight = Σ g x̂,  dbias = Σ g
    paper     Ioffe & Szegedy (2015), ICML, arXiv:1502.03167
    shape     [batch, channel], [batch, channel, length] or [batch, channel, height, width]
    note      Evaluation uses running statistics: new = (1 - momentum) old + momentum batch, with the unbiased
              variance, as in PyTorch (Keras' momentum is 1 - momentum).
    """

    cases = [{}, {"eps": 0.1}, {"affine": False}]

    eps: PositiveFloat = 1e-5
    """Added to the variance, in squared units of the input."""
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the batch in the running statistics."""
    affine: bool = True
    """Learn the scale and shift of every channel."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) > 3 or not shape:
            raise Misfit(f"batch_norm takes [features], [channels, length] or [channels, height, width], got {list(shape)}")
        return shape

    def build(self, shape: Shape) -> nn.Module:
        kinds = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d}
        return kinds[len(shape)](shape[0], eps=self.eps, momentum=self.momentum, affine=self.affine)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        axes = [0, *range(2, x.ndim)]
        m = x.mean(dim=axes, keepdim=True)
        v = ((x - m) ** 2).mean(dim=axes, keepdim=True)
        y = (x - m) / (v + self.eps).sqrt()
        return y * _wide(parameters["weight"], x) + _wide(parameters["bias"], x) if self.affine else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        axes = [0, *range(2, x.ndim)]
        m = x.mean(dim=axes, keepdim=True)
        s = (((x - m) ** 2).mean(dim=axes, keepdim=True) + self.eps).sqrt()
        hat = (x - m) / s
        h = g * _wide(parameters["weight"], x) if self.affine else g
        dx = (h - h.mean(dim=axes, keepdim=True) - hat * (h * hat).mean(dim=axes, keepdim=True)) / s
        return {"x": dx, "weight": (g * hat).sum(dim=axes), "bias": g.sum(dim=axes)} if self.affine else {"x": dx}


def _wide(parameter: Tensor, x: Tensor) -> Tensor:
    return parameter.reshape(1, -1, *[1] * (x.ndim - 2))
