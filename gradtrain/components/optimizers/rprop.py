"""Steps by the sign of the gradient alone."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Optimizer, State, fastest
from gradtrain.lazy import Tensor, torch


class Rprop(Optimizer):
    """Every weight has its own step, longer while the gradient keeps its sign, shorter when it turns: for full batches.

    With s the steps, lr before the first one, and h the gradient before, 0 before the first step:

    value     s ← clip(up s where g h > 0, down s where g h < 0, else s, to [low, high]);  g ← 0 where g h < 0;
              p ← p - s sign(g);  h ← g
    paper     Riedmiller & Braun (1993), IEEE International Conference on Neural Networks, 586-591
    note      As PyTorch's Rprop. lr is the first step only: a schedule of it has no effect on later ones.
    """

    cases = [{}, {"factors": (0.3, 1.7), "steps": (1e-3, 2e-2)}]

    lr: PositiveFloat = 0.01
    """The first step of every weight, in units of weight."""
    factors: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1)]] = (0.5, 1.2)
    """(down, up): what a step is multiplied by when the gradient turns, and when it does not."""
    steps: tuple[PositiveFloat, PositiveFloat] = (1e-6, 50.0)
    """(low, high): the shortest and the longest step, in units of weight."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.Rprop(
            groups, lr=self.lr, etas=self.factors, step_sizes=self.steps, **fastest(self, implementation, groups)
        )

    def init(self, p: Tensor) -> State:
        return {"h": torch.zeros_like(p), "s": torch.zeros_like(p)}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        down, up = self.factors
        s = torch.full_like(p, lr) if t == 1 else state["s"]
        same = g * state["h"]
        s = torch.where(same > 0, up * s, torch.where(same < 0, down * s, s)).clamp(*self.steps)
        g = torch.where(same < 0, 0.0, g)
        return p - s * g.sign(), {"h": g, "s": s}
