"""Momentum with orthogonal steps, for matrices."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Annotated, Any

from pydantic import Field, PositiveFloat, PositiveInt

from gradtrain.components.optimizers import Beta, Optimizer, State
from gradtrain.components.optimizers._moments import average, size
from gradtrain.lazy import Tensor, torch

QUINTIC = (3.4445, -4.7750, 2.0315)
"""a, b, c of f(σ) = a σ + b σ³ + c σ⁵, which draws every σ in (0, 1] to about 1; chosen by Jordan for speed at 0."""


class Muon(Optimizer):
    """Replaces the momentum of a weight matrix by the nearest orthogonal one: every direction learns alike.

    With weight decay λ, b the moving average of g, 0 before the first step, f(σ) = 3.4445 σ - 4.775 σ³ + 2.0315 σ⁵
    and U diag(σ) Vᵀ the singular values and vectors of a matrix:

    value     b ← momentum b + (1 - momentum) g;  u = momentum b + (1 - momentum) g  (nesterov, else b);
              u / (‖u‖ + 1e-7) = U diag(σ) Vᵀ;  σ ← f(…f(σ)), `iterations` times;
              p ← (1 - lr λ) p - lr √max(1, rows / columns) U diag(σ) Vᵀ
    paper     Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein (2024), Muon: an optimizer for hidden layers
              in neural networks
    note      Computed without singular values, by Newton-Schulz: X ← a X + (b A + c A²) X with A = X Xᵀ, in the
              weights' own precision (others cast to bfloat16). Filters count as the matrix [out, rest]. Vectors and
              scalars learn by AdamW instead, at the rate lr · vectors with betas and eps.
    """

    cases = [
        {},
        {"momentum": 0.5, "nesterov": False, "weight_decay": 0.5, "iterations": 3},
        {"betas": (0.5, 0.9), "eps": 0.1, "vectors": 1.0},
    ]

    lr: PositiveFloat = 0.02
    """The learning rate: about the size of the change in every direction of a matrix."""
    momentum: Beta = 0.95
    """Share of the average that is kept at every step."""
    nesterov: bool = True
    """Look ahead along the average."""
    iterations: PositiveInt = 5
    """How often f is applied."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ: the share lr λ of every weight is taken away at every step."""
    vectors: PositiveFloat = 0.015
    """Rate of AdamW for what is no matrix, as a multiple of lr."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """AdamW's shares, for what is no matrix."""
    eps: PositiveFloat = 1e-8
    """AdamW's eps, for what is no matrix, in units of the gradient."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        from gradtrain.rule import Rule

        return Rule(groups, self, implementation, weight_decay=self.weight_decay)

    def init(self, p: Tensor) -> State:
        return {name: torch.zeros_like(p) for name in (("b",) if p.ndim > 1 else ("m", "v"))}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        if p.ndim < 2:
            lr = lr * self.vectors
            m = self.betas[0] * state["m"] + (1 - self.betas[0]) * g
            v = self.betas[1] * state["v"] + (1 - self.betas[1]) * g**2
            step = m / (1 - self.betas[0] ** t) / ((v / (1 - self.betas[1] ** t)).sqrt() + self.eps)
            return (1 - lr * self.weight_decay) * p - lr * step, {"m": m, "v": v}
        b = self.momentum * state["b"] + (1 - self.momentum) * g
        u = self.momentum * b + (1 - self.momentum) * g if self.nesterov else b
        matrix = u.flatten(1)
        left, sigma, right = torch.linalg.svd(matrix / (matrix.norm() + 1e-7), full_matrices=False)
        for _ in range(self.iterations):
            sigma = QUINTIC[0] * sigma + QUINTIC[1] * sigma**3 + QUINTIC[2] * sigma**5
        step = _tall(matrix) * (left * sigma @ right).view_as(p)
        return (1 - lr * self.weight_decay) * p - lr * step, {"b": b}

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        if "b" not in state:
            lr = lr * self.vectors
        if self.weight_decay:
            torch._foreach_mul_(p, 1 - lr * self.weight_decay)
        if "b" not in state:
            average(g, state, self.betas)
            roots = size(state["v"], 1 - self.betas[1] ** t, self.eps)
            torch._foreach_addcdiv_(p, state["m"], roots, value=-lr / (1 - self.betas[0] ** t))
            return
        torch._foreach_lerp_(state["b"], g, 1 - self.momentum)
        u = torch._foreach_lerp(state["b"], g, 1 - self.momentum) if self.nesterov else state["b"]
        alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight, direction in zip(p, u, strict=True):
            matrix = direction.flatten(1)
            alike[matrix.shape].append((weight, matrix))
        for pairs in alike.values():
            steps = self.orthogonal(torch.stack([matrix for _, matrix in pairs]))
            for (weight, matrix), step in zip(pairs, steps, strict=True):
                weight.sub_(step.reshape(weight.shape), alpha=lr * _tall(matrix))

    def orthogonal(self, matrices: Tensor) -> Tensor:
        """Newton-Schulz on a stack [count, rows, columns], over the shorter side."""
        wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
        x: Tensor = wide / (torch.linalg.matrix_norm(wide, keepdim=True) + 1e-7)
        for _ in range(self.iterations):
            a = torch.bmm(x, x.mT)
            x = torch.baddbmm(x, torch.baddbmm(a, a, a, beta=QUINTIC[1], alpha=QUINTIC[2]), x, beta=QUINTIC[0])
        return x.mT if wide is not matrices else x


def _tall(matrix: Tensor) -> float:
    """√max(1, rows / columns)."""
    return math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1]))
