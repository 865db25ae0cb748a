"""PyTorch's own start."""

from __future__ import annotations

from gradtrain.components.initializers import Initializer, Spread
from gradtrain.lazy import Tensor
from gradtrain.stage import Shape


class Default(Initializer):
    """Leaves a parameter as PyTorch made it.

    value     for linear and conv: uniform in ±1/√fan_in, weights and biases alike
    paper     PyTorch documentation, torch.nn.Linear and torch.nn.Conv2d
    """

    def fill(self, tensor: Tensor) -> None:
        """Nothing: the module was made that way."""

    def textbook(self, shape: Shape) -> Spread | None:
        return None
