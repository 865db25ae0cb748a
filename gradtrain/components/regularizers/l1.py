"""The l1 penalty."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradtrain.components.regularizers import Regularizer
from gradtrain.lazy import Tensor


class L1(Regularizer):
    """A pull of constant strength towards zero: small weights become exactly unimportant.

    value     strength Σ |w|
    gradient  strength sign(w), and 0 where w = 0
    paper     Tibshirani (1996), J. R. Stat. Soc. B 58(1):267-288
    """

    cases = [{"strength": 0.3}]

    strength: Annotated[float, Field(ge=0)]
    """λ, in units of the loss per unit of weight."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.abs().sum() * self.strength

    def textbook(self, weight: Tensor) -> Tensor:
        return self.strength * (weight * weight.sign()).sum()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        return g * self.strength * weight.sign()

    def kink(self, weight: Tensor) -> Tensor:
        return weight
