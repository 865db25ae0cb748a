"""RMSprop."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Optimizer, State, fastest
from gradtrain.lazy import Tensor, torch


class Rmsprop(Optimizer):
    """Divides every gradient by its own recent size, so that all weights move at a like pace.

    With weight decay λ, μ = momentum, v the mean square, a the mean (centered) and b the momentum buffer,
    all 0 before the first step:

    value     g ← g + λ p;  v ← alpha v + (1 - alpha) g²;  centered: v' = v - a², else v' = v;
              q = g / (√v' + eps);  b ← μ b + q;  p ← p - lr b  (μ = 0: p ← p - lr q)
    paper     Tieleman & Hinton (2012), COURSERA: Neural Networks for Machine Learning, lecture 6.5
    note      eps stands outside the root, as in PyTorch (TensorFlow puts it inside). With centered, a
              gradient that never varies has v' = 0; rounding can bring it below, where it has no root.
    """

    cases = [{}, {"eps": 0.1, "weight_decay": 0.1}, {"momentum": 0.9, "centered": True}]

    lr: PositiveFloat = 0.01
    """The learning rate, in units of weight."""
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Share of the mean square that is kept at every step."""
    eps: PositiveFloat = 1e-8
    """Added to the root, in units of the gradient."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the last direction that is kept."""
    centered: bool = False
    """Divide by the standard deviation instead of the root of the mean square."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(
            groups, lr=self.lr, alpha=self.alpha, eps=self.eps, momentum=self.momentum,
            centered=self.centered, weight_decay=self.weight_decay, **fastest(self, implementation, groups),
        )  # fmt: skip

    def init(self, p: Tensor) -> State:
        return {"v": torch.zeros_like(p), "a": torch.zeros_like(p), "b": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        v = self.alpha * state["v"] + (1 - self.alpha) * g**2
        a = self.alpha * state["a"] + (1 - self.alpha) * g
        spread = v - a**2 if self.centered else v
        b = self.momentum * state["b"] + g / (spread.sqrt() + self.eps)
        return p - lr * b, {"v": v, "a": a, "b": b}
