"""The l2 penalty."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradtrain.components.regularizers import Regularizer
from gradtrain.lazy import Tensor, torch


class L2(Regularizer):
    """A pull towards zero that grows with the weight: large weights are discouraged.

    value     strength Σ w²
    gradient  2 strength w
    paper     Hoerl & Kennard (1970), Technometrics 12(1):55-67; Krogh & Hertz (1991), NIPS
    note      No factor ½: strength λ equals `weight_decay: 2λ` in plain sgd. It is not the decoupled decay of
              adamw (write `form: decoupled` for that).
    """

    cases = [{"strength": 0.3}]

    strength: Annotated[float, Field(ge=0)]
    """λ, in units of the loss per squared unit of weight."""

    def forward(self, weight: Tensor) -> Tensor:
        flat = weight.reshape(-1)
        return torch.dot(flat, flat) * self.strength

    def textbook(self, weight: Tensor) -> Tensor:
        return self.strength * (weight**2).sum()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        return g * 2 * self.strength * weight
