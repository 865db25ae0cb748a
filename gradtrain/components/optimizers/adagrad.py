"""Adagrad."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Optimizer, State, fastest
from gradtrain.lazy import Tensor, torch


class Adagrad(Optimizer):
    """Divides every gradient by the size of all its past ones: rare features keep a large step.

    With weight decay λ and a the sum of squares, 0 before the first step:

    value     g ← g + λ p;  a ← a + g²;  p ← p - lr / (1 + (t - 1) lr_decay) · g / (√a + eps)
    paper     Duchi, Hazan & Singer (2011), J. Mach. Learn. Res. 12:2121-2159
    """

    implementations: ClassVar[tuple[str, ...]] = ("single", "foreach", "fused")
    cases = [{}, {"lr_decay": 0.1, "weight_decay": 0.1, "eps": 0.1}]

    lr: PositiveFloat = 0.01
    """The learning rate, in units of weight."""
    lr_decay: Annotated[float, Field(ge=0)] = 0.0
    """How fast the learning rate falls, per step."""
    eps: PositiveFloat = 1e-10
    """Added to the root, in units of the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(
            groups, lr=self.lr, lr_decay=self.lr_decay, eps=self.eps,
            weight_decay=self.weight_decay, **fastest(self, implementation, groups),
        )  # fmt: skip

    def init(self, p: Tensor) -> State:
        return {"a": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        a = state["a"] + g**2
        return p - lr / (1 + (t - 1) * self.lr_decay) * g / (a.sqrt() + self.eps), {"a": a}
