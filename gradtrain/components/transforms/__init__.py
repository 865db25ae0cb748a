"""The family of transforms."""

from __future__ import annotations

from typing import Literal

from gradtrain.lazy import Tensor
from gradtrain.registry import Component, Use
from gradtrain.stage import Shape

Fitted = dict[str, Tensor]
"""What a transform learned from the train split; stored with the run."""


class Transform(Component):
    """A transform changes samples in the same way in every split; what it learns, it learns from the train split only.

    It maps `[count, *shape]` to `[count, *output_shape(shape)]`, sample by sample: the result does not depend on which
    other samples stand in the batch. Unfitted results keep float32; it is never differentiated.
    """

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample afterwards. Raises `Misfit`; imports no torch."""
        return shape

    def span(self, low: float, high: float) -> tuple[float, float] | None:
        """The range of the values afterwards, from the range before; None when it depends on the data."""
        return None

    def fit(self, x: Tensor) -> Fitted:
        """Learn from the train split `[count, *shape]`."""
        return {}

    def forward(self, x: Tensor, fitted: Fitted) -> Tensor:
        """The transformed samples."""
        raise NotImplementedError

    def inverse(self, x: Tensor, fitted: Fitted) -> Tensor:
        """From transformed values back to the data's own units, for predictions; what has no inverse stays as it is."""
        return x


class TransformUse(Use):
    """One item of `data.transforms`."""

    part: Transform
    on: Literal["x", "y"] = "x"
    """The batch field it changes."""
