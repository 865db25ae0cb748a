"""Adam."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State, fastest, moments
from gradtrain.lazy import Tensor, torch


class Adam(Optimizer):
    """Steps along the mean of the gradients divided by their typical size: about lr a step for each weight.

    With weight decay λ, m and v the moving averages of g and g², 0 before the first step, betas = (β₁, β₂):

    value     g ← g + λ p;  m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²;
              p ← p - lr (m / (1 - β₁^t)) / (√(v / (1 - β₂^t)) + eps)
    paper     Kingma & Ba (2015), ICLR, arXiv:1412.6980;
              amsgrad: Reddi, Kale & Kumar (2018), ICLR, arXiv:1904.09237
    note      amsgrad keeps the largest v so far, before the correction. Weight decay here is rescaled with
              the gradient; `adamw` shrinks the weights directly.
    """

    implementations: ClassVar[tuple[str, ...]] = ("single", "foreach", "fused")
    cases = [
        {},
        {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1},
        {"amsgrad": True, "betas": (0.9, 0.5)},
    ]

    lr: PositiveFloat = 1e-3
    """The learning rate, in units of weight: about the size of one step."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Shares of the two averages that are kept at every step."""
    eps: PositiveFloat = 1e-8
    """Added to the root, in units of the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""
    amsgrad: bool = False
    """Never let the step grow again where gradients were large once."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            groups, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay,
            amsgrad=self.amsgrad, **fastest(self, implementation, groups),
        )  # fmt: skip

    def init(self, p: Tensor) -> State:
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p), "top": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        step, state = moments(g, state, t, self.betas, self.eps, self.amsgrad)
        return p - lr * step, state
