"""AdamW without a schedule."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

from pydantic import Field, NonNegativeInt, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State
from gradtrain.components.optimizers._moments import square
from gradtrain.lazy import Tensor, torch


class ScheduleFree(Optimizer):
    """AdamW at a constant rate, measured at the average of where it has been: no schedule, no end to know.

    With weight decay λ, p where gradients are taken, z where AdamW is and x the average, both p before the first
    step, v the moving average of g², W = 0 the sum of the rates squared, betas = (β₁, β₂):

    value     v ← β₂ v + (1 - β₂) g²;  γ = lr √(1 - β₂^t) min(1, t / warmup);  W ← W + γ²;
              z ← z - γ (g / (√v + eps) + λ p);  x ← x + γ² / W (z - x);  p ← (1 - β₁) z + β₁ x
    paper     Defazio, Yang, Mehta, Mishchenko, Khaled & Cutkosky (2024), NeurIPS, arXiv:2405.15682
    note      Evaluations and exports use x. Only z is remembered: x = (p - (1 - β₁) z) / β₁.
    """

    averages: ClassVar[bool] = True
    cases = [{}, {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.5, "warmup": 4}, {"betas": (0.98, 0.99)}]

    lr: PositiveFloat = 2.5e-3
    """The learning rate, in units of weight: about the size of one step; larger than AdamW's."""
    betas: tuple[Annotated[float, Field(gt=0, lt=1)], Beta] = (0.9, 0.999)
    """How near to the average the gradient is taken, and the share of v that is kept at every step."""
    eps: PositiveFloat = 1e-8
    """Added to the root, in units of the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: the share γ λ of every weight is taken away at every step."""
    warmup: NonNegativeInt = 0
    """Steps over which the rate rises from 0."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Rule

        return Rule(groups, self, implementation, weight_decay=self.weight_decay)

    def rate(self, t: int, lr: float) -> float:
        """γ."""
        return lr * math.sqrt(1 - self.betas[1] ** t) * min(1.0, t / max(1, self.warmup))

    def init(self, p: Tensor) -> State:
        return {"z": p.detach().clone(), "v": torch.zeros_like(p), "rates": p.new_zeros(())}

    def average(self, p: Tensor, state: State) -> Tensor:
        return (p - (1 - self.betas[0]) * state["z"]) / self.betas[0]

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        x = self.average(p, state)
        v = self.betas[1] * state["v"] + (1 - self.betas[1]) * g**2
        rate = self.rate(t, lr)
        rates = state["rates"] + rate**2
        z = state["z"] - rate * (g / (v.sqrt() + self.eps) + self.weight_decay * p)
        if rate:
            x = x + rate**2 / rates * (z - x)
        return (1 - self.betas[0]) * z + self.betas[0] * x, {"z": z, "v": v, "rates": rates}

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        square(g, state, self.betas[1])
        rate = self.rate(t, lr)
        if not rate:
            return
        u = list(torch._foreach_sqrt(state["v"]))
        torch._foreach_add_(u, self.eps)
        u = list(torch._foreach_div(g, u))
        if self.weight_decay:
            torch._foreach_add_(u, p, alpha=self.weight_decay)
        torch._foreach_add_(state["rates"], rate**2)
        share = torch._foreach_reciprocal(state["rates"])
        torch._foreach_mul_(share, rate**2)
        # x eliminated: p ← p + share (z - p) - γ (1 - β₁ (1 - share)) u, then z ← z - γ u.
        torch._foreach_lerp_(p, state["z"], share)
        torch._foreach_add_(state["z"], u, alpha=-rate)
        torch._foreach_mul_(share, self.betas[0])
        torch._foreach_add_(share, 1 - self.betas[0])
        torch._foreach_mul_(u, share)
        torch._foreach_add_(p, u, alpha=-rate)
