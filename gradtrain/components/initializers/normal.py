"""Normal numbers."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.initializers import Initializer, Spread
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class Normal(Initializer):
    """Independent numbers from a normal distribution.

    value     normal with mean `mean` and standard deviation `std`
    paper     PyTorch documentation, torch.nn.init.normal_
    """

    cases = [{}, {"std": 0.5, "mean": 1.0}]

    std: PositiveFloat = 0.02
    """Standard deviation, in units of the weight."""
    mean: float = 0.0
    """Mean, in units of the weight."""

    def fill(self, tensor: Tensor) -> None:
        nn.init.normal_(tensor, self.mean, self.std)

    def textbook(self, shape: Shape) -> Spread:
        return Spread(self.mean, self.std)
