"""Kaiming (He) initialization, uniform."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from gradtrain.components.initializers import Initializer, Spread, fans, gain, needs_fans
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class KaimingUniform(Initializer):
    """Uniform numbers whose size keeps the variance of signals through relu layers.

    value     uniform in ±gain √(3 / fan)
    paper     He, Zhang, Ren & Sun (2015), ICCV, arXiv:1502.01852
    """

    cases = [
        {},
        {"mode": "fan_out"},
        {"nonlinearity": "leaky_relu", "slope": 0.2},
        {"nonlinearity": "linear"},
    ]

    mode: Literal["fan_in", "fan_out"] = "fan_in"
    """Keep the variance of the signals (`fan_in`) or of the gradients (`fan_out`)."""
    nonlinearity: Literal["relu", "leaky_relu", "linear", "tanh"] = "relu"
    """The activation that follows: gain √2, √(2/(1 + slope²)), 1 or 5/3."""
    slope: Annotated[float, Field(ge=0)] = 0.01
    """Slope of leaky_relu for negative inputs."""

    def fill(self, tensor: Tensor) -> None:
        needs_fans(self, tensor)
        nn.init.kaiming_uniform_(tensor, self.slope, self.mode, self.nonlinearity)

    def textbook(self, shape: Shape) -> Spread:
        std = gain(self.nonlinearity, self.slope) / math.sqrt(fans(shape)[self.mode == "fan_out"])
        return Spread(0.0, std, -std * math.sqrt(3), std * math.sqrt(3))
