"""Hardswish."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class Hardswish(Activation):
    """A silu made of straight lines and one parabola: cheap where exponentials are dear.

    value     0 where x < -3,  x where x > 3,  else x (x + 3) / 6
    gradient  0 where x <= -3,  1 where x >= 3,  else (2 x + 3) / 6
    paper     Howard et al. (2019), ICCV, arXiv:1905.02244
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(x)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x * (x + 3).clamp(0, 6) / 6

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g * torch.where(x <= -3, 0.0, torch.where(x >= 3, 1.0, (2 * x + 3) / 6))

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.minimum((x + 3).abs(), (x - 3).abs())
