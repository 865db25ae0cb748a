"""Gradient descent, with momentum as PyTorch defines it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Optimizer, State, fastest
from gradtrain.lazy import Tensor, torch


class Sgd(Optimizer):
    """Steps against the gradient; momentum keeps part of the last direction.

    With weight decay λ, momentum μ, and b the memory (b = g at the first step):

    value     g ← g + λ p;  b ← μ b + g;  p ← p - lr b,  nesterov: p ← p - lr (g + μ b)
    paper     Robbins & Monro (1951), Ann. Math. Statist. 22(3):400-407; Polyak (1964);
              PyTorch documentation, SGD
    note      Plain gradient descent, p ← p - lr g, by default. Sutskever et al. (2013) keep lr inside b.
    """

    implementations: ClassVar[tuple[str, ...]] = ("single", "foreach", "fused")
    cases = [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"weight_decay": 0.1},
    ]

    lr: PositiveFloat = 0.01
    """The learning rate, in units of weight per unit of gradient."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the last direction that is kept."""
    nesterov: bool = False
    """Look ahead along the new direction; needs momentum."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient, as a penalty of (λ/2) Σ p² would."""

    def model_post_init(self, context: Any, /) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` needs `momentum` above 0")

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        options = fastest(self, implementation, groups)
        return torch.optim.SGD(
            groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov,
            weight_decay=self.weight_decay, **options,
        )  # fmt: skip

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        if not self.momentum:
            return p - lr * g, {}
        b = self.momentum * state["b"] + g if t > 1 else g
        return p - lr * (g + self.momentum * b if self.nesterov else b), {"b": b}
