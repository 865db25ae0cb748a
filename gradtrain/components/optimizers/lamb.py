"""Adam with a rate of its own for every layer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State
from gradtrain.components.optimizers._moments import average, size
from gradtrain.lazy import Tensor, torch


class Lamb(Optimizer):
    """Adam's direction, scaled so that every weight tensor changes by the same share of its length.

    With weight decay λ, m and v the moving averages of g and g², 0 before the first step, betas = (β₁, β₂):

    value     m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²;
              u = (m / (1 - β₁^t)) / (√(v / (1 - β₂^t)) + eps) + λ p;  p ← p - lr ‖p‖ / ‖u‖ u
    paper     You, Li, Reddi, Hseu, Kumar, Bhojanapalli, Song, Demmel, Keutzer & Hsieh (2020), ICLR,
              arXiv:1904.00962
    note      Made for very large batches. ‖p‖ / ‖u‖ is taken tensor by tensor; it is 1 where either is 0.
    """

    cases = [{}, {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.5}, {"weight_decay": 0.0}]

    lr: PositiveFloat = 1e-3
    """The learning rate: the share of its length that a weight tensor changes by at every step."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Shares of the two averages that are kept at every step."""
    eps: PositiveFloat = 1e-6
    """Added to the root, in units of the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """λ: adds λ p to the direction, before it is scaled."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Rule

        return Rule(groups, self, implementation, weight_decay=self.weight_decay)

    def init(self, p: Tensor) -> State:
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        m = self.betas[0] * state["m"] + (1 - self.betas[0]) * g
        v = self.betas[1] * state["v"] + (1 - self.betas[1]) * g**2
        corrected = (v / (1 - self.betas[1] ** t)).sqrt() + self.eps
        u = m / (1 - self.betas[0] ** t) / corrected + self.weight_decay * p
        weight, direction = p.norm(), u.norm()
        trust = torch.where((weight > 0) & (direction > 0), weight / direction, torch.ones_like(weight))
        return p - lr * trust * u, {"m": m, "v": v}

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        average(g, state, self.betas)
        corrected = size(state["v"], 1 - self.betas[1] ** t, self.eps)
        u = list(torch._foreach_div(state["m"], corrected))
        torch._foreach_div_(u, 1 - self.betas[0] ** t)
        if self.weight_decay:
            torch._foreach_add_(u, p, alpha=self.weight_decay)
        weight, direction = torch.stack(torch._foreach_norm(p)), torch.stack(torch._foreach_norm(u))
        trust = torch.where((weight > 0) & (direction > 0), weight / direction, 1.0)
        torch._foreach_mul_(u, list(trust.unbind()))
        torch._foreach_add_(p, u, alpha=-lr)
