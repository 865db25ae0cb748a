"""Adam whose step sizes change gently."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State
from gradtrain.components.optimizers._moments import size
from gradtrain.lazy import Tensor, torch


class Yogi(Optimizer):
    """Adam whose memory of the gradients' size moves by small amounts only, so that no step suddenly grows.

    With weight decay λ, m the moving average of g, 0, and v the size, `start`, before the first step,
    betas = (β₁, β₂):

    value     g ← g + λ p;  m ← β₁ m + (1 - β₁) g;  v ← v - (1 - β₂) sign(v - g²) g²;
              p ← p - lr (m / (1 - β₁^t)) / (√(v / (1 - β₂^t)) + eps)
    paper     Zaheer, Reddi, Sachan, Kale & Kumar (2018), NeurIPS, Adaptive Methods for Nonconvex Optimization
    note      The paper's algorithm leaves out the two corrections, which Adam has: `corrected: false`.
    """

    cases = [{}, {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1, "start": 0.5}, {"corrected": False}]

    lr: PositiveFloat = 0.01
    """The learning rate, in units of weight: about the size of one step."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Share of the average that is kept at every step, and how slowly the size moves."""
    eps: PositiveFloat = 1e-3
    """Added to the root, in units of the gradient."""
    start: Annotated[float, Field(ge=0)] = 1e-6
    """v before the first step, in units of the gradient squared."""
    corrected: bool = True
    """Divide m and v by what they lack while they are young."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: adds λ p to the gradient."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Rule

        return Rule(groups, self, implementation, weight_decay=self.weight_decay)

    def known(self, t: int) -> tuple[float, float]:
        """What m and v are divided by."""
        return (1 - self.betas[0] ** t, 1 - self.betas[1] ** t) if self.corrected else (1.0, 1.0)

    def init(self, p: Tensor) -> State:
        return {"m": torch.zeros_like(p), "v": torch.full_like(p, self.start)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = g + self.weight_decay * p
        m = self.betas[0] * state["m"] + (1 - self.betas[0]) * g
        v = state["v"] - (1 - self.betas[1]) * torch.sign(state["v"] - g**2) * g**2
        first, second = self.known(t)
        return p - lr * (m / first) / ((v / second).sqrt() + self.eps), {"m": m, "v": v}

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        if self.weight_decay:
            g = list(torch._foreach_add(g, p, alpha=self.weight_decay))
        torch._foreach_lerp_(state["m"], g, 1 - self.betas[0])
        square = torch._foreach_mul(g, g)
        change = torch._foreach_sub(state["v"], square)
        torch._foreach_sign_(change)
        torch._foreach_addcmul_(state["v"], change, square, value=self.betas[1] - 1)
        first, second = self.known(t)
        torch._foreach_addcdiv_(p, state["m"], size(state["v"], second, self.eps), value=-lr / first)
