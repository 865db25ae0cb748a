"""The group lasso."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradtrain.components.regularizers import Regularizer, rows
from gradtrain.lazy import Tensor, torch


class GroupLasso(Regularizer):
    """A pull of constant strength on every output's weights together: whole units become unimportant.

    Over the rows w_o of the weight, one an output, each of n numbers:

    value     strength Σ_o √n ‖w_o‖
    gradient  strength √n w_o / ‖w_o‖,  and 0 where w_o = 0
    paper     Yuan & Lin (2006), J. R. Stat. Soc. B 68(1):49-67, doi:10.1111/j.1467-9868.2005.00532.x
    """

    cases = [{"strength": 0.3}]

    strength: Annotated[float, Field(ge=0)]
    """λ, in units of the loss per unit of weight."""

    def forward(self, weight: Tensor) -> Tensor:
        flat = rows(weight)
        value: Tensor = torch.linalg.vector_norm(flat, dim=1).sum() * (self.strength * flat.shape[1] ** 0.5)
        return value

    def textbook(self, weight: Tensor) -> Tensor:
        flat = rows(weight)
        size = (flat**2).sum(dim=1)
        norms = torch.where(size > 0, torch.where(size > 0, size, 1.0).sqrt(), 0.0)
        value: Tensor = self.strength * flat.shape[1] ** 0.5 * norms.sum()
        return value

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        flat = rows(weight)
        size = (flat**2).sum(dim=1, keepdim=True).sqrt()
        unit = torch.where(size > 0, flat / torch.where(size > 0, size, 1.0), 0.0)
        value: Tensor = (g * self.strength * flat.shape[1] ** 0.5 * unit).reshape(weight.shape)
        return value

    def kink(self, weight: Tensor) -> Tensor:
        value: Tensor = torch.linalg.vector_norm(rows(weight), dim=1)
        return value
