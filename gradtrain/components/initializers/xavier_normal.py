"""Xavier (Glorot) initialization, normal."""

from __future__ import annotations

import math

from pydantic import PositiveFloat

from gradtrain.components.initializers import Initializer, Spread, fans, needs_fans
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class XavierNormal(Initializer):
    """Normal numbers whose size keeps the variance of signals and gradients alike from layer to layer.

    value     normal with mean 0 and standard deviation gain √(2 / (fan_in + fan_out))
    paper     Glorot & Bengio (2010), AISTATS, PMLR 9:249-256
    """

    cases = [{}, {"gain": 2.0}]

    gain: PositiveFloat = 1.0
    """Factor for the activation that follows (1 for tanh, √2 for relu)."""

    def fill(self, tensor: Tensor) -> None:
        needs_fans(self, tensor)
        nn.init.xavier_normal_(tensor, self.gain)

    def textbook(self, shape: Shape) -> Spread:
        return Spread(0.0, self.gain * math.sqrt(2 / sum(fans(shape))))
