"""Adam's step sizes from row and column sums alone."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from gradtrain.components.optimizers import Optimizer, State
from gradtrain.lazy import Tensor, torch


class Adafactor(Optimizer):
    """Estimates the size of every gradient from row and column means: almost no memory beside the weights.

    With weight decay λ, β = 1 - t^(-decay), RMS the root of the mean square of a tensor, r and c the moving
    averages of the row and column means of g² + eps1, for a matrix p:

    value     r ← β r + (1 - β) rows(g² + eps1);  c ← β c + (1 - β) columns(g² + eps1);  u = g / √(r cᵀ / mean(r));
              u ← u / max(1, RMS(u) / clip);  p ← (1 - lr λ) p - max(eps2, RMS(p)) min(lr, 1 / √t) u
    paper     Shazeer & Stern (2018), ICML, arXiv:1804.04235
    note      A vector keeps the average of every element. A bank of filters counts as the matrix [out, rest].
              PyTorch's puts a floor under r that changes steps where gradients are below 3e-4 in float32.
    """

    cases = [{}, {"lr": 1.0, "decay": 0.5, "clip": 0.5, "eps2": 0.3, "weight_decay": 0.1}, {"eps1": 0.01}]

    lr: PositiveFloat = 0.01
    """The learning rate, as a share of the weights' own size."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    """How fast the averages lengthen: they cover about t^decay steps."""
    eps1: PositiveFloat = 1e-30
    """Added to the squared gradients."""
    eps2: PositiveFloat = 1e-3
    """Weights smaller than this learn as if they were this large."""
    clip: PositiveFloat = 1.0
    """Largest root mean square of a step, before it is scaled by the weights."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: the share lr λ of every weight is taken away at every step."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Rule

        return Rule(groups, self, implementation, weight_decay=self.weight_decay)

    def init(self, p: Tensor) -> State:
        if p.ndim < 2:
            return {"v": torch.zeros_like(p)}
        matrix = p.flatten(1)
        return {"r": torch.zeros_like(matrix[:, 0]), "c": torch.zeros_like(matrix[0])}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        past = 1 - t**-self.decay
        square = g**2 + self.eps1
        if p.ndim < 2:
            state = {"v": past * state["v"] + (1 - past) * square}
            u = g / state["v"].sqrt()
        else:
            square = square.flatten(1)
            r = past * state["r"] + (1 - past) * square.mean(dim=1)
            c = past * state["c"] + (1 - past) * square.mean(dim=0)
            # Two roots: the product of two means of 1e-30 would be 0 in float32.
            u = g / ((r / r.mean()).sqrt().outer(c.sqrt())).view_as(g)
            state = {"r": r, "c": c}
        u = u / (_rms(u) / self.clip).clamp(min=1)
        own = _rms(p).clamp(min=self.eps2) * min(lr, 1 / math.sqrt(t))
        return (1 - lr * self.weight_decay) * p - own * u, state

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        new = t**-self.decay
        square = list(torch._foreach_mul(g, g))
        torch._foreach_add_(square, self.eps1)
        if "v" in state:
            torch._foreach_lerp_(state["v"], square, new)
            u = [gradient * v.rsqrt() for gradient, v in zip(g, state["v"], strict=True)]
        else:
            square = [tensor.flatten(1) for tensor in square]
            torch._foreach_lerp_(state["r"], [tensor.mean(dim=1) for tensor in square], new)
            torch._foreach_lerp_(state["c"], [tensor.mean(dim=0) for tensor in square], new)
            u = []
            for gradient, r, c in zip(g, state["r"], state["c"], strict=True):
                matrix = gradient.flatten(1) * (r.mean() / r).sqrt().unsqueeze(1) * c.rsqrt()
                u.append(matrix.view_as(gradient))
        sizes = [math.sqrt(tensor.numel()) for tensor in u]
        long = torch._foreach_div(torch._foreach_norm(u), [size * self.clip for size in sizes])
        scale = torch._foreach_div(torch._foreach_norm(p), sizes)
        torch._foreach_clamp_min_(scale, self.eps2)
        torch._foreach_clamp_min_(long, 1.0)
        torch._foreach_div_(scale, long)
        torch._foreach_mul_(u, scale)
        torch._foreach_mul_(p, 1 - lr * self.weight_decay)
        torch._foreach_add_(p, u, alpha=-min(lr, 1 / math.sqrt(t)))


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()
