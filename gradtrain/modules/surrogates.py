"""Modules whose backward pass is meant to be the derivative of another function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, scale: float) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * g, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, scale: None) -> Tensor:
        turned: Tensor = -ctx.scale * tangent
        return turned


class GradientReversal(nn.Module):
    """x forward, -scale g backward."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        reversed_: Tensor = _Reversed.apply(x, self.scale)  # type: ignore[no-untyped-call]
        return reversed_


class Quantize(nn.Module):
    """The nearest of equally spaced levels forward; backward as a clamp to the range of the levels."""

    def __init__(self, levels: int, limit: float) -> None:
        super().__init__()
        self.step, self.limit = 2 * limit / (levels - 1), limit

    def forward(self, x: Tensor) -> Tensor:
        clamped = x.clamp(-self.limit, self.limit)
        level = torch.round((clamped + self.limit) / self.step) * self.step - self.limit
        return clamped + (level - clamped).detach()
