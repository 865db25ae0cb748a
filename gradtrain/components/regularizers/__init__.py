"""The family of regularizers."""

from __future__ import annotations

from typing import Any

from gradtrain.lazy import Tensor, torch
from gradtrain.registry import Component


class Regularizer(Component):
    """A regularizer is a penalty on one parameter tensor, added to the loss; the penalties of a selection add up.

    It takes a tensor of any shape, real, and returns a 0-d tensor in units of the loss.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """What trains: the penalty of one tensor, 0-d."""
        raise NotImplementedError

    def textbook(self, weight: Tensor) -> Tensor:
        """What was published."""
        raise NotImplementedError

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        """The closed-form derivative times the 0-d incoming gradient `g`, in the shape of `weight`."""
        raise NotImplementedError

    def kink(self, weight: Tensor) -> Tensor | None:
        """A tensor with zeros where the derivative jumps; None when the penalty is smooth."""
        return None

    def samples(self, generator: torch.Generator) -> list[Tensor]:
        """Weights in float64: a matrix, a filter bank, a vector, and one with exact zeros."""
        draw: dict[str, Any] = {"generator": generator, "dtype": torch.float64}
        holed = torch.randn(3, 4, **draw)
        holed[0] = 0.0
        return [torch.randn(5, 4, **draw), torch.randn(3, 2, 3, 3, **draw), torch.randn(6, **draw), holed]
