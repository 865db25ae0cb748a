"""The identity."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import Tensor


class Identity(Activation):
    """Leaves everything as it is.

    value     x
    gradient  1
    paper     none: it is a place that holds no activation
    """

    def forward(self, x: Tensor) -> Tensor:
        return x

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return 1.0 * x

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return g
