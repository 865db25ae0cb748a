"""The confidence penalty."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradtrain.components.regularizers import Regularizer
from gradtrain.lazy import F, Tensor, torch


class Entropy(Regularizer):
    """Rewards doubt: answers that are all sure of themselves cost more than answers that are not.

    With p = softmax(output) over axis 1, H = -Σ_k p_k log p_k, and the mean over all other axes:

    value     -strength mean(H)
    gradient  strength p_k (log p_k + H) / answers
    paper     Pereyra, Tucker, Chorowski, Kaiser & Hinton (2017), arXiv:1701.06548
    shape     output [batch, class, ...]: raw scores
    """

    of: ClassVar[Literal["weight", "output", "input_gradient", "constraint"]] = "output"
    cases = [{"strength": 0.3}]

    strength: Annotated[float, Field(ge=0)]
    """λ, in units of the loss per nat."""

    def forward(self, weight: Tensor) -> Tensor:
        log_p = F.log_softmax(weight, dim=1)
        return (log_p.exp() * log_p).sum() * (self.strength * weight.shape[1] / weight.numel())

    def textbook(self, weight: Tensor) -> Tensor:
        below = (weight - weight.max(dim=1, keepdim=True).values).exp()
        p = below / below.sum(dim=1, keepdim=True)
        value: Tensor = -self.strength * -torch.special.xlogy(p, p).sum(dim=1).mean()
        return value

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        below = weight - weight.max(dim=1, keepdim=True).values
        log_p = below - below.exp().sum(dim=1, keepdim=True).log()
        p = log_p.exp()
        doubt = -(p * log_p).sum(dim=1, keepdim=True)
        return g * self.strength * p * (log_p + doubt) * weight.shape[1] / weight.numel()

    def samples(self, generator: torch.Generator) -> list[Tensor]:
        """Scores of four classes, of every pixel, and very sure ones."""
        draw: dict[str, Any] = {"generator": generator, "dtype": torch.float64}
        return [torch.randn(5, 4, **draw), torch.randn(2, 3, 2, 2, **draw), 30 * torch.randn(4, 3, **draw)]
