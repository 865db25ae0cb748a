"""Adam's two moving averages, in place over lists of tensors."""

from __future__ import annotations

import math

from gradtrain.lazy import Tensor, torch


def average(g: list[Tensor], state: dict[str, list[Tensor]], betas: tuple[float, float]) -> None:
    """m and v take in the gradients."""
    torch._foreach_lerp_(state["m"], g, 1 - betas[0])  # m + (1 - β₁)(g - m), in one pass
    square(g, state, betas[1])


def square(g: list[Tensor], state: dict[str, list[Tensor]], beta: float) -> None:
    """v takes in the gradients."""
    torch._foreach_mul_(state["v"], beta)
    torch._foreach_addcmul_(state["v"], g, g, value=1 - beta)


def size(v: list[Tensor], known: float, eps: float) -> list[Tensor]:
    """√(v / known) + eps, in fresh tensors; `known` is 1 - β₂^t, or 1 without the correction."""
    roots = list(torch._foreach_sqrt(v))
    if known != 1:
        torch._foreach_div_(roots, math.sqrt(known))
    torch._foreach_add_(roots, eps)
    return roots
