"""Quantization with a straight-through gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Quantize(Layer):
    """Rounds every number to one of a few levels and lets the gradient pass as if it had not.

    With c = clip(x, -limit, limit) and s = 2 limit / (levels - 1):

    value     y = s round((c + limit) / s) - limit
    gradient  dx = g where |x| <= limit, else 0
    paper     Bengio, Léonard & Courville (2013), arXiv:1308.3432, the straight-through estimator
    note      The derivative of rounding is zero almost everywhere; the backward pass is that of the clip, on purpose.
    """

    surrogate: ClassVar[str] = "the clip of x to [-limit, limit] (straight-through)"
    cases = [{}, {"levels": 3, "limit": 2.0}]

    levels: Annotated[int, Field(ge=2)] = 16
    """Different values of a number."""
    limit: PositiveFloat = 1.0
    """The largest level; the smallest is its negative."""

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import surrogates

        return surrogates.Quantize(self.levels, self.limit)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        step = 2 * self.limit / (self.levels - 1)
        edges = (torch.arange(1, self.levels, dtype=x.dtype) - 0.5) * step - self.limit
        return (x[..., None] > edges).to(x.dtype).sum(-1) * step - self.limit

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": torch.where(x.abs() <= self.limit, g, 0.0)}

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        step = 2 * self.limit / (self.levels - 1)
        edges = (torch.arange(1, self.levels, dtype=x.dtype) - 0.5) * step - self.limit
        away = torch.cat([x[..., None] - edges, (x.abs() - self.limit)[..., None]], -1)
        return away.gather(-1, away.abs().argmin(-1, keepdim=True)).squeeze(-1)
