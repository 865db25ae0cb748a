"""Adam with Nesterov's momentum."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State
from gradtrain.components.optimizers._moments import average, size
from gradtrain.lazy import Tensor, torch


class Nadam(Optimizer):
    """Adam that looks ahead along its momentum, as Nesterov's method does.

    With weight decay λ, m and v the moving averages of g and g², 0 before the first step, betas = (β₁, β₂),
    μ(t) = β₁ (1 - 0.96^(t momentum_decay) / 2) and q the product μ(1) … μ(t):

    value     g ← g + λ p;  m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²;  s = √(v / (1 - β₂^t)) + eps;
              p ← p - lr ((1 - μ(t)) / (1 - q) g + μ(t+1) / (1 - q μ(t+1)) m) / s
    paper     Dozat (2016), ICLR workshop, Incorporating Nesterov Momentum into Adam
    note      PyTorch's keeps q in float32 whatever the weights are; this keeps it as they are.
    """

    cases = [{}, {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1}, {"momentum_decay": 0.5}]

    lr: PositiveFloat = 2e-3
    """The learning rate, in units of weight: about the size of one step."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Shares of the two averages that are kept at every step."""
    eps: PositiveFloat = 1e-8
    """Added to the root, in units of the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""
    momentum_decay: Annotated[float, Field(ge=0)] = 0.004
    """How fast the momentum rises from β₁ / 2 to β₁, per step."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Rule

        return Rule(groups, self, implementation, weight_decay=self.weight_decay)

    def momentum(self, t: int) -> float:
        """μ(t)."""
        return self.betas[0] * (1 - math.pow(0.96, t * self.momentum_decay) / 2)

    def init(self, p: Tensor) -> State:
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p), "product": p.new_ones(())}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        m = self.betas[0] * state["m"] + (1 - self.betas[0]) * g
        v = self.betas[1] * state["v"] + (1 - self.betas[1]) * g**2
        now, then = self.momentum(t), self.momentum(t + 1)
        q = state["product"] * now
        ahead = (1 - now) / (1 - q) * g + then / (1 - q * then) * m
        s = (v / (1 - self.betas[1] ** t)).sqrt() + self.eps
        return p - lr * ahead / s, {"m": m, "v": v, "product": q}

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        if self.weight_decay:
            g = list(torch._foreach_add(g, p, alpha=self.weight_decay))
        average(g, state, self.betas)
        now, then = self.momentum(t), self.momentum(t + 1)
        torch._foreach_mul_(state["product"], now)
        q = state["product"][0]  # a function of t alone: the same for all
        ahead = torch._foreach_mul(g, (1 - now) / (1 - q))
        torch._foreach_add_(ahead, torch._foreach_mul(state["m"], then / (1 - q * then)))
        torch._foreach_addcdiv_(p, ahead, size(state["v"], 1 - self.betas[1] ** t, self.eps), value=-lr)
