"""The Jacobian penalty."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from gradtrain.components.regularizers import Regularizer, rows
from gradtrain.lazy import Tensor, torch


class Jacobian(Regularizer):
    """Keeps answers from changing fast when the input changes a little, in any direction.

    With J = ∂ output / ∂x of a sample, K outputs, v a random unit vector for every sample and s = vᵀ J:

    value     ½ strength K mean ‖s‖², which on average over v is ½ strength mean ‖J‖²
    gradient  strength K s / batch;  by the weights through s: a second derivative
    paper     Hoffman, Roberts & Yaida (2019), arXiv:1908.02729
    note      √K is part of v. With `projections` above 1 the mean over as many directions, each a backward pass more;
              the paper finds one enough.
    """

    of: ClassVar[Literal["weight", "output", "input_gradient", "constraint"]] = "input_gradient"
    cases = [{"strength": 0.3}, {"strength": 0.3, "projections": 3}]

    strength: Annotated[float, Field(ge=0)]
    """λ, in units of the loss per squared unit of slope."""
    projections: PositiveInt = 1
    """Random directions in which the output is looked at in a step."""

    @property
    def directions(self) -> int:
        return self.projections

    def forward(self, weight: Tensor) -> Tensor:
        return weight.square().sum() * (self.strength / 2 / len(weight))

    def textbook(self, weight: Tensor) -> Tensor:
        return self.strength / 2 * (rows(weight) ** 2).sum(dim=1).mean()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        return g * self.strength * weight / len(weight)

    def project(self, scores: Tensor) -> Tensor:
        flat = rows(scores)
        v = torch.randn(flat.shape, dtype=flat.dtype).to(flat.device)
        v = v / torch.linalg.vector_norm(v, dim=1, keepdim=True) * flat.shape[1] ** 0.5
        value: Tensor = (flat * v).sum()
        return value
