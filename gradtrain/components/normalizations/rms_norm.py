"""Root-mean-square normalization."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import PositiveFloat

from gradtrain.components.normalizations import Normalization
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class RmsNorm(Normalization):
    """Divides every sample by the size of its features; it does not shift them.

    Over the last axis, with r = √(mean(x²) + eps) and h = g weight:

    value     y = weight x̂,  x̂ = x / r
    gradient  dx = (h - x̂ mean(h x̂)) / r,  dweight = Σ g x̂
    paper     Zhang & Sennrich (2019), NeurIPS, arXiv:1910.07467
    shape     [batch, ..., features]; weight [features]
    note      nn.RMSNorm's default eps is the dtype's machine epsilon and changes with the precision; this one
              does not.
    """

    cases = [{}, {"eps": 0.1}]

    eps: PositiveFloat = 1e-6
    """Added to the mean square, inside the root, in squared units of the input."""

    def build(self, shape: Shape) -> nn.Module:
        return nn.RMSNorm(shape[-1], eps=self.eps)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return parameters["weight"] * x / ((x**2).mean(dim=-1, keepdim=True) + self.eps).sqrt()

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        r = ((x**2).mean(dim=-1, keepdim=True) + self.eps).sqrt()
        hat, h = x / r, g * parameters["weight"]
        dx = (h - hat * (h * hat).mean(dim=-1, keepdim=True)) / r
        return {"x": dx, "weight": (g * hat).sum(dim=list(range(x.ndim - 1)))}
