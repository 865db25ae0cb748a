"""The gradient-reversal layer of domain adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveFloat

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class GradientReversal(Layer):
    """Leaves its input alone and turns the gradient round, so that what comes before learns to fool what comes after.

    value     y = x
    gradient  dx = -scale g
    paper     Ganin & Lempitsky (2015), ICML, arXiv:1409.7495
    note      The backward pass is that of -scale x, on purpose.
    """

    surrogate: ClassVar[str] = "the map x → -scale x"
    cases = [{}, {"scale": 0.3}]

    scale: PositiveFloat = 1.0
    """How strongly what comes before works against what comes after."""

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import surrogates

        return surrogates.GradientReversal(self.scale)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": -self.scale * g}
