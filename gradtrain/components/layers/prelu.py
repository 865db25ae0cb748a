"""The parametric rectified linear unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Prelu(Layer):
    """A leaky relu that learns its slope for negative numbers.

    value     x where x > 0,  else weight x
    gradient  dx = g where x > 0, else weight g;  dweight = Σ g x where x <= 0
    paper     He, Zhang, Ren & Sun (2015), ICCV, arXiv:1502.01852
    shape     weight [1], or one a channel [channel] with `per_channel`; channels are axis 1
    note      A penalty on weights does not reach it: the paper warns that it would pull the slope to 0.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (4, 3, 3))
    cases = [{}, {"start": 0.1, "per_channel": True}]

    start: Annotated[float, Field(ge=0, le=1)] = 0.25
    """The slope at the beginning."""
    per_channel: bool = False
    """One slope a channel instead of one for all."""

    def build(self, shape: Shape) -> nn.Module:
        return nn.PReLU(shape[0] if self.per_channel else 1, self.start)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.where(x > 0, x, _wide(parameters["weight"], x) * x)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        below = torch.where(x > 0, 0.0, g * x)
        others = [0, *range(2, x.ndim)] if self.per_channel else list(range(x.ndim))
        weight = below.sum(dim=others).reshape(parameters["weight"].shape)
        return {"x": torch.where(x > 0, g, _wide(parameters["weight"], x) * g), "weight": weight}

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x


def _wide(weight: Tensor, x: Tensor) -> Tensor:
    return weight.reshape(1, -1, *[1] * (x.ndim - 2))
