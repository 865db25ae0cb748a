"""Gradient descent along a moving average of the gradient."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Optimizer, State
from gradtrain.lazy import Tensor, torch


class Momentum(Optimizer):
    """Steps against the moving average of the gradients: noise averages out, the direction stays.

    With weight decay λ and b the average, 0 before the first step:

    value     g ← g + λ p;  b ← beta b + (1 - beta) g;  p ← p - lr b
    paper     Polyak (1964), USSR Comput. Math. Math. Phys. 4(5):1-17, doi:10.1016/0041-5553(64)90137-5
    note      The form of the textbooks. `sgd` with momentum is PyTorch's, without the factor 1 - beta:
              the same path at lr (1 - beta).
    """

    implementations: ClassVar[tuple[str, ...]] = ("single", "foreach")
    cases = [{}, {"beta": 0.5, "weight_decay": 0.1}]

    lr: PositiveFloat = 0.01
    """The learning rate, in units of weight per unit of gradient."""
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share of the average that is kept at every step."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient, as a penalty of (λ/2) Σ p² would."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Rule

        return Rule(groups, self, implementation, weight_decay=self.weight_decay)

    def init(self, p: Tensor) -> State:
        return {"b": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        b = self.beta * state["b"] + (1 - self.beta) * (g + self.weight_decay * p)
        return p - lr * b, {"b": b}

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        if self.weight_decay:
            g = list(torch._foreach_add(g, p, alpha=self.weight_decay))
        torch._foreach_lerp_(state["b"], g, 1 - self.beta)  # b + (1 - beta)(g - b), in one pass
        torch._foreach_add_(p, state["b"], alpha=-lr)
