"""Adadelta."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State, fastest
from gradtrain.lazy import Tensor, torch


class Adadelta(Optimizer):
    """Scales every step by the size of its own past steps: there is no learning rate to guess.

    With weight decay λ, v and u the mean squares of gradients and of steps, 0 before the first step:

    value     g ← g + λ p;  v ← rho v + (1 - rho) g²;  s = √(u + eps) / √(v + eps) g;
              u ← rho u + (1 - rho) s²;  p ← p - lr s
    paper     Zeiler (2012), arXiv:1212.5701
    note      The paper has no lr: it is 1. eps stands inside both roots and starts the first step.
    """

    cases = [{}, {"rho": 0.5, "eps": 0.1, "weight_decay": 0.1}, {"lr": 0.3, "rho": 0.95}]

    lr: PositiveFloat = 1.0
    """A factor on the step."""
    rho: Beta = 0.9
    """Share of both mean squares that is kept at every step."""
    eps: PositiveFloat = 1e-6
    """Added under the roots, in units of the gradient squared."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.Adadelta(
            groups, lr=self.lr, rho=self.rho, eps=self.eps, weight_decay=self.weight_decay,
            **fastest(self, implementation, groups),
        )  # fmt: skip

    def init(self, p: Tensor) -> State:
        return {"v": torch.zeros_like(p), "u": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        v = self.rho * state["v"] + (1 - self.rho) * g**2
        s = (state["u"] + self.eps).sqrt() / (v + self.eps).sqrt() * g
        return p - lr * s, {"v": v, "u": self.rho * state["u"] + (1 - self.rho) * s**2}
