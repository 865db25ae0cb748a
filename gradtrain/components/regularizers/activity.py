"""The activity penalty."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gradtrain.components.regularizers import Regularizer
from gradtrain.lazy import Tensor


class Activity(Regularizer):
    """A pull on what units say instead of on their weights: few of them should speak up at once.

    With a the output, [batch, ...], batch its samples:

    value     l1: strength Σ |a| / batch;  l2: strength Σ a² / batch
    gradient  l1: strength sign(a) / batch, and 0 where a = 0;  l2: 2 strength a / batch
    paper     Olshausen & Field (1996), Nature 381:607-609, doi:10.1038/381607a0
    """

    of: ClassVar[Literal["weight", "output", "input_gradient", "constraint"]] = "output"
    cases = [{"strength": 0.3}, {"strength": 0.3, "norm": "l2"}]

    strength: Annotated[float, Field(ge=0)]
    """λ, in units of the loss per (squared) unit of activity."""
    norm: Literal["l1", "l2"] = "l1"
    """Sum of magnitudes, or of squares."""

    def forward(self, weight: Tensor) -> Tensor:
        size = weight.abs() if self.norm == "l1" else weight.square()
        return size.sum() * (self.strength / len(weight))

    def textbook(self, weight: Tensor) -> Tensor:
        size = weight * weight.sign() if self.norm == "l1" else weight**2
        return self.strength * size.reshape(len(weight), -1).sum(dim=1).mean()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        slope = weight.sign() if self.norm == "l1" else 2 * weight
        return g * self.strength * slope / len(weight)

    def kink(self, weight: Tensor) -> Tensor | None:
        return weight if self.norm == "l1" else None
