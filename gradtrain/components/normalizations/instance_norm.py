"""Instance normalization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveFloat

from gradtrain.components.normalizations import Normalization
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class InstanceNorm(Normalization):
    """Gives every channel of every picture zero mean and unit variance: contrast and style are taken out.

    Over the axes after the channel, with the biased variance v and mean m of x, h = g weight:

    value     y = weight x̂ + bias,  x̂ = (x - m) / √(v + eps)
    gradient  dx = (h - mean(h) - x̂ mean(h x̂)) / √(v + eps),  dweight = Σ g x̂,  dbias = Σ g
    paper     Ulyanov, Vedaldi & Lempitsky (2016), arXiv:1607.08022
    shape     [batch, channel, length] or [batch, channel, height, width]; weight and bias [channel]
    note      Training and evaluation are the same: it keeps no running statistics, as in PyTorch by default.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4, 5), (4, 3, 5))
    cases = [{}, {"eps": 0.1}, {"affine": False}]

    eps: PositiveFloat = 1e-5
    """Added to the variance, in squared units of the input."""
    affine: bool = True
    """Learn the scale and shift of every channel."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) not in (2, 3) or shape[-1] * (shape[-2] if len(shape) == 3 else 1) < 2:
            raise Misfit(
                f"`instance_norm` takes [channels, length] or [channels, height, width], got {list(shape)}",
                "it needs more than one number a channel",
            )
        return shape

    def build(self, shape: Shape) -> nn.Module:
        kinds = {2: nn.InstanceNorm1d, 3: nn.InstanceNorm2d}
        return kinds[len(self.output_shape(shape))](shape[0], eps=self.eps, affine=self.affine)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        axes = list(range(2, x.ndim))
        m = x.mean(dim=axes, keepdim=True)
        y = (x - m) / (((x - m) ** 2).mean(dim=axes, keepdim=True) + self.eps).sqrt()
        return y * _wide(parameters["weight"], x) + _wide(parameters["bias"], x) if self.affine else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        axes = list(range(2, x.ndim))
        m = x.mean(dim=axes, keepdim=True)
        s = (((x - m) ** 2).mean(dim=axes, keepdim=True) + self.eps).sqrt()
        hat = (x - m) / s
        h = g * _wide(parameters["weight"], x) if self.affine else g
        dx = (h - h.mean(dim=axes, keepdim=True) - hat * (h * hat).mean(dim=axes, keepdim=True)) / s
        learned = {"weight": (g * hat).sum(dim=[0, *axes]), "bias": g.sum(dim=[0, *axes])} if self.affine else {}
        return {"x": dx, **learned}


def _wide(parameter: Tensor, x: Tensor) -> Tensor:
    return parameter.reshape(1, -1, *[1] * (x.ndim - 2))
