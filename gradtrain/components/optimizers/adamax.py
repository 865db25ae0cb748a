"""Adam with the largest gradient in the place of the typical one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State, fastest
from gradtrain.lazy import Tensor, torch


class Adamax(Optimizer):
    """Adam that divides by the largest recent gradient instead of the typical one.

    With weight decay λ, m the moving average of g, u the fading maximum of |g|, 0 before the first step,
    betas = (β₁, β₂):

    value     g ← g + λ p;  m ← β₁ m + (1 - β₁) g;  u ← max(β₂ u, |g| + eps);  p ← p - lr / (1 - β₁^t) m / u
    paper     Kingma & Ba (2015), ICLR, arXiv:1412.6980, section 7.1
    note      eps is added to |g|, as in PyTorch; the paper has none.
    """

    cases = [{}, {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1}]

    lr: PositiveFloat = 2e-3
    """The learning rate, in units of weight: the size of the largest step."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Shares of the average and of the maximum that are kept at every step."""
    eps: PositiveFloat = 1e-8
    """Added to |g|, in units of the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.Adamax(
            groups, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay,
            **fastest(self, implementation, groups),
        )  # fmt: skip

    def init(self, p: Tensor) -> State:
        return {"m": torch.zeros_like(p), "u": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        m = self.betas[0] * state["m"] + (1 - self.betas[0]) * g
        u = torch.maximum(self.betas[1] * state["u"], g.abs() + self.eps)
        return p - lr / (1 - self.betas[0] ** t) * m / u, {"m": m, "u": u}
