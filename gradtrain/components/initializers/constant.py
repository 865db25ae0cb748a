"""One number everywhere."""

from __future__ import annotations

from gradtrain.components.initializers import Initializer, Spread
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class Constant(Initializer):
    """Fills a parameter with one number; meant for biases and gains, since equal weights stay equal.

    value     w = value
    paper     PyTorch documentation, torch.nn.init.constant_
    """

    cases = [{}, {"value": 0.5}]

    value: float = 0.0
    """The number, in units of the weight."""

    def fill(self, tensor: Tensor) -> None:
        nn.init.constant_(tensor, self.value)

    def textbook(self, shape: Shape) -> Spread:
        return Spread(self.value, 0.0, self.value, self.value)
