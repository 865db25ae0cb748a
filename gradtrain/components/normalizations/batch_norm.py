"""Batch normalization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.normalizations import Normalization
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class BatchNorm(Normalization):
    """Gives every channel zero mean and unit variance over the batch, then a learned scale and shift.

    Over the batch and all axes but the channel, with the biased variance v and mean m of x, h = g weight:

    value     y = weight x̂ + bias,  x̂ = (x - m) / √(v + eps)
    gradient  dx = (h - mean(h) - x̂ mean(h x̂)) / √(v + eps),  dweight = Σ g x̂,  dbias = Σ g
    paper     Ioffe & Szegedy (2015), ICML, arXiv:1502.03167
    shape     [batch, channel], [batch, channel, length], [batch, channel, height, width] or
              [batch, channel, depth, height, width]; weight and bias [channel]
    note      Evaluation uses running statistics, which begin at mean 0 and variance 1 and follow every batch:
              new = (1 - momentum) old + momentum batch, with the unbiased variance, as in PyTorch (Keras'
              momentum is 1 - momentum). Training needs more than one number a channel.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (4, 5), (4, 3, 5), (3, 2, 3, 2))
    cases = [{}, {"eps": 0.1}, {"momentum": 0.3}, {"affine": False}]

    eps: PositiveFloat = 1e-5
    """Added to the variance, in squared units of the input."""
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the batch in the running statistics."""
    affine: bool = True
    """Learn the scale and shift of every channel."""

    def output_shape(self, shape: Shape) -> Shape:
        if not 1 <= len(shape) <= 4:
            raise Misfit(
                f"batch_norm takes [channels] and up to three more axes, got {list(shape)}",
                "put `flatten` before it",
            )
        return shape

    def build(self, shape: Shape) -> nn.Module:
        kinds = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
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
        learned = {"weight": (g * hat).sum(dim=axes), "bias": g.sum(dim=axes)} if self.affine else {}
        return {"x": dx, **learned}


def _wide(parameter: Tensor, x: Tensor) -> Tensor:
    return parameter.reshape(1, -1, *[1] * (x.ndim - 2))
