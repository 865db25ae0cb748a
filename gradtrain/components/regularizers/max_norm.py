"""The max-norm constraint."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gradtrain.components.regularizers import Regularizer, rows
from gradtrain.lazy import Tensor, torch


class MaxNorm(Regularizer):
    """Lets no unit's weights grow beyond a length: after every update longer ones are cut back to it.

    Over the rows w_o of the weight, one an output:

    value     w_o ← w_o min(1, limit / ‖w_o‖)
    gradient  where ‖w_o‖ > limit:  limit / ‖w_o‖ (g - ŵ_o (ŵ_o · g)),  ŵ_o = w_o / ‖w_o‖;  elsewhere g
    paper     Srebro & Shraibman (2005), COLT; Hinton et al. (2012), arXiv:1207.0580
    note      A constraint, not a penalty: it adds nothing to the loss, and no optimizer sees its derivative.
    """

    of: ClassVar[Literal["weight", "output", "input_gradient", "constraint"]] = "constraint"
    cases = [{"limit": 1.5}]

    limit: Annotated[float, Field(gt=0)] = 3.0
    """Largest length of a row, in units of weight."""

    def forward(self, weight: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(rows(weight), dim=1)
        scale = self.limit / size.clamp(min=self.limit)
        value: Tensor = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        return value

    def textbook(self, weight: Tensor) -> Tensor:
        flat = rows(weight)
        size = (flat**2).sum(dim=1, keepdim=True).sqrt()
        return torch.where(size > self.limit, self.limit * flat / size, flat).reshape(weight.shape)

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        flat, back = rows(weight), rows(g)
        size = (flat**2).sum(dim=1, keepdim=True).sqrt()
        unit = flat / torch.where(size > 0, size, 1.0)
        along = unit * (unit * back).sum(dim=1, keepdim=True)
        return torch.where(size > self.limit, self.limit / size * (back - along), back).reshape(weight.shape)

    def kink(self, weight: Tensor) -> Tensor:
        value: Tensor = torch.linalg.vector_norm(rows(weight), dim=1) - self.limit
        return value
