"""Xavier (Glorot) initialization, uniform."""

from __future__ import annotations

import math

from pydantic import PositiveFloat

from gradtrain.components.initializers import Initializer, Spread, fans, needs_fans
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class XavierUniform(Initializer):
    """Uniform numbers whose size keeps the variance of signals and gradients alike from layer to layer.

    value     uniform in ±gain √(6 / (fan_in + fan_out))
    paper     Glorot & Bengio (2010), AISTATS, PMLR 9:249-256
    """

    cases = [{}, {"gain": 2.0}]

    gain: PositiveFloat = 1.0
    """Factor for the activation that follows (1 for tanh, √2 for relu)."""

    def fill(self, tensor: Tensor) -> None:
        needs_fans(self, tensor)
        nn.init.xavier_uniform_(tensor, self.gain)

    def textbook(self, shape: Shape) -> Spread:
        bound = self.gain * math.sqrt(6 / sum(fans(shape)))
        return Spread(0.0, bound / math.sqrt(3), -bound, bound)
