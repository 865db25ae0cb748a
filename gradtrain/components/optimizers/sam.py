"""Sharpness-aware minimization."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Evaluate, Optimizer, State
from gradtrain.lazy import Tensor, torch


class Sam(Optimizer):
    """Gradient descent by the gradient at the worst point nearby: it ends in flat valleys, at twice the cost.

    With weight decay λ, b the memory, 0 before the first step, g the gradient, ∇(q) the one at the weights q and
    ‖g‖ taken over all weights together:

    value     q = p + rho g / (‖g‖ + 1e-12);  b ← momentum b + ∇(q) + λ p;  p ← p - lr b
    paper     Foret, Kleiner, Mainprize & Neyshabur (2021), ICLR, arXiv:2010.01412
    note      Both gradients are of the same batch. Layers that keep statistics of their batches see it twice.
    """

    closure: ClassVar[bool] = True
    cases = [{}, {"rho": 0.5, "momentum": 0.5, "weight_decay": 0.1}, {"momentum": 0.0}]

    lr: PositiveFloat = 0.01
    """The learning rate, in units of weight per unit of gradient."""
    rho: PositiveFloat = 0.05
    """How far away the worst point is sought, in units of weight."""
    momentum: Beta = 0.9
    """Share of the last direction that is kept."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Sharpened

        return Sharpened(groups, self, implementation, rho=self.rho, weight_decay=self.weight_decay)

    def init(self, p: Tensor) -> State:
        return {"b": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        """The second half of a step: g is the gradient at the worst point, p the weight."""
        b = self.momentum * state["b"] + g + self.weight_decay * p
        return p - lr * b, {"b": b}

    def descend(
        self, evaluate: Evaluate, p: list[Tensor], states: list[State], t: int, lr: list[float]
    ) -> tuple[list[Tensor], list[State]]:
        gradient = evaluate(p)[1]
        length = torch.cat([g.flatten() for g in gradient]).square().sum().sqrt()
        worst = evaluate([w + self.rho * g / (length + 1e-12) for w, g in zip(p, gradient, strict=True)])[1]
        steps = [self.update(g, w, s, t, r) for g, w, s, r in zip(worst, p, states, lr, strict=True)]
        return [weight for weight, _ in steps], [memory for _, memory in steps]

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        torch._foreach_mul_(state["b"], self.momentum)
        torch._foreach_add_(state["b"], g)
        if self.weight_decay:
            torch._foreach_add_(state["b"], p, alpha=self.weight_decay)
        torch._foreach_add_(p, state["b"], alpha=-lr)
