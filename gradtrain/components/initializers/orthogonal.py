"""Orthogonal matrices."""

from __future__ import annotations

import math

from pydantic import PositiveFloat

from gradtrain.components.initializers import Initializer, Spread, needs_fans
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class Orthogonal(Initializer):
    """A random rotation: every signal keeps its length on the way through.

    value     gain Q, with QᵀQ = I (or QQᵀ = I), for the weight as a matrix [out, everything else]
    paper     Saxe, McClelland & Ganguli (2014), ICLR, arXiv:1312.6120
    """

    cases = [{}, {"gain": 2.0}]

    gain: PositiveFloat = 1.0
    """Factor for the activation that follows (√2 for relu)."""

    def fill(self, tensor: Tensor) -> None:
        needs_fans(self, tensor)
        nn.init.orthogonal_(tensor, self.gain)

    def textbook(self, shape: Shape) -> Spread:
        rows, columns = shape[0], math.prod(shape[1:])
        return Spread(0.0, self.gain * math.sqrt(min(rows, columns) / (rows * columns)), -self.gain, self.gain)
