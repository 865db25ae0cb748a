"""Adam that waits until it knows the size of the gradients."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State, fastest
from gradtrain.lazy import Tensor, torch


class Radam(Optimizer):
    """Adam that steps along the mean gradient alone until enough gradients tell their typical size.

    With weight decay λ, m and v the moving averages of g and g², 0 before the first step, betas = (β₁, β₂),
    R = 2 / (1 - β₂) - 1 and r = R - 2 t β₂^t / (1 - β₂^t), the number of gradients that v averages:

    value     g ← g + λ p;  m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²;  m' = m / (1 - β₁^t);
              r > 5:  p ← p - lr m' √(((r - 4) (r - 2) R) / ((R - 4) (R - 2) r)) √(1 - β₂^t) / (√v + eps);
              else    p ← p - lr m'
    paper     Liu, Jiang, He, Chen, Liu, Gao & Han (2020), ICLR, arXiv:1908.03265
    note      The paper changes over at r > 4; PyTorch, and this, at r > 5. eps is not rescaled with v.
    """

    cases = [{}, {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1}, {"betas": (0.9, 0.5)}]

    lr: PositiveFloat = 1e-3
    """The learning rate, in units of weight; per unit of gradient in the first steps."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Shares of the two averages that are kept at every step."""
    eps: PositiveFloat = 1e-8
    """Added to the root, in units of the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.RAdam(
            groups, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay,
            **fastest(self, implementation, groups),
        )  # fmt: skip

    def init(self, p: Tensor) -> State:
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        m = self.betas[0] * state["m"] + (1 - self.betas[0]) * g
        v = self.betas[1] * state["v"] + (1 - self.betas[1]) * g**2
        known = 1 - self.betas[1] ** t
        longest = 2 / (1 - self.betas[1]) - 1
        length = longest - 2 * t * self.betas[1] ** t / known
        step = m / (1 - self.betas[0] ** t)
        if length > 5:
            trust = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            step = step * math.sqrt(trust) * math.sqrt(known) / (v.sqrt() + self.eps)
        return p - lr * step, {"m": m, "v": v}
