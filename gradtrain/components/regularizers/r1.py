"""The zero-centred gradient penalty."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gradtrain.components.regularizers import Regularizer, rows
from gradtrain.lazy import Tensor


class R1(Regularizer):
    """Keeps a critic flat at real samples, so that a generator that has found them is left in peace.

    With s = ∂ critic(real) / ∂real, one row a sample:

    value     ½ strength mean ‖s‖²
    gradient  strength s / batch;  by the weights through s: a second derivative
    paper     Mescheder, Geiger & Nowozin (2018), ICML, arXiv:1801.04406
    """

    of: ClassVar[Literal["weight", "output", "input_gradient", "constraint"]] = "input_gradient"
    cases = [{}, {"strength": 0.3}]

    strength: Annotated[float, Field(ge=0)] = 10.0
    """γ, in units of the loss per squared unit of slope."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.square().sum() * (self.strength / 2 / len(weight))

    def textbook(self, weight: Tensor) -> Tensor:
        return self.strength / 2 * (rows(weight) ** 2).sum(dim=1).mean()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        return g * self.strength * weight / len(weight)
