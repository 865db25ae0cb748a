"""Steps by the sign of the momentum."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State
from gradtrain.lazy import Tensor, torch


class Lion(Optimizer):
    """Moves every weight by the same amount, in the direction that momentum and gradient point to.

    With weight decay λ, m the moving average of g, 0 before the first step, betas = (β₁, β₂):

    value     c = β₁ m + (1 - β₁) g;  p ← p - lr (sign c + λ p);  m ← β₂ m + (1 - β₂) g
    paper     Chen, Liang, Huang, Real, Wang, Liu, Pham, Dong, Luong, Hsieh, Lu & Le (2023), NeurIPS,
              arXiv:2302.06675
    note      Its steps are larger than Adam's: the paper takes lr 3 to 10 times smaller and λ as many times larger.
    """

    cases = [{}, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.5}]

    lr: PositiveFloat = 1e-4
    """The learning rate, in units of weight: the size of every step."""
    betas: tuple[Beta, Beta] = (0.9, 0.99)
    """Shares of the past in the direction, and in what is remembered."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: the share lr λ of every weight is taken away at every step."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Rule

        return Rule(groups, self, implementation, weight_decay=self.weight_decay)

    def init(self, p: Tensor) -> State:
        return {"m": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        c = self.betas[0] * state["m"] + (1 - self.betas[0]) * g
        m = self.betas[1] * state["m"] + (1 - self.betas[1]) * g
        return p - lr * (c.sign() + self.weight_decay * p), {"m": m}

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        direction = torch._foreach_lerp(state["m"], g, 1 - self.betas[0])
        torch._foreach_sign_(direction)
        if self.weight_decay:
            torch._foreach_mul_(p, 1 - lr * self.weight_decay)
        torch._foreach_add_(p, direction, alpha=-lr)
        torch._foreach_lerp_(state["m"], g, 1 - self.betas[1])
