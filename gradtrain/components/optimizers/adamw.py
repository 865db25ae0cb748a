"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Beta, Optimizer, State, fastest, moments
from gradtrain.lazy import Tensor, torch


class Adamw(Optimizer):
    """Adam, with the weights shrunk directly instead of through the gradient.

    With weight decay λ, m and v the moving averages of g and g², 0 before the first step, betas = (β₁, β₂):

    value     p ← (1 - lr λ) p;  m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²;
              p ← p - lr (m / (1 - β₁^t)) / (√(v / (1 - β₂^t)) + eps)
    paper     Loshchilov & Hutter (2019), ICLR, arXiv:1711.05101
    note      The decay comes first and is multiplied by lr, as in PyTorch.
    """

    implementations: ClassVar[tuple[str, ...]] = ("single", "foreach", "fused")
    cases = [
        {},
        {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.5},
        {"amsgrad": True, "weight_decay": 0.0},
    ]

    lr: PositiveFloat = 1e-3
    """The learning rate, in units of weight: about the size of one step."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Shares of the two averages that are kept at every step."""
    eps: PositiveFloat = 1e-8
    """Added to the root, in units of the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """λ: the share lr λ of every weight is taken away at every step."""
    amsgrad: bool = False
    """Never let the step grow again where gradients were large once."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            groups, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay,
            amsgrad=self.amsgrad, **fastest(self, implementation, groups),
        )  # fmt: skip

    def init(self, p: Tensor) -> State:
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p), "top": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        p = (1 - lr * self.weight_decay) * p
        step, state = moments(g, state, t, self.betas, self.eps, self.amsgrad)
        return p - lr * step, state
