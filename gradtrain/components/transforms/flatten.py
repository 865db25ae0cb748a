"""From any shape to a vector."""

from __future__ import annotations

from math import prod

from gradtrain.components.transforms import Fitted, Transform
from gradtrain.lazy import Tensor
from gradtrain.stage import Shape


class Flatten(Transform):
    """Lays all axes of a sample out in one row."""

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def span(self, low: float, high: float) -> tuple[float, float]:
        return low, high

    def forward(self, x: Tensor, fitted: Fitted) -> Tensor:
        return x.reshape(len(x), prod(x.shape[1:]))
