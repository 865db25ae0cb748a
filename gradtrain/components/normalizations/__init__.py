"""The family of normalizations."""

from __future__ import annotations

from typing import ClassVar

from gradtrain.stage import Shape, Stage


class Normalization(Stage):
    """A normalization shifts and scales its input to zero mean and unit size over a set of elements.

    It keeps the shape `[batch, channels or features, ...]`; channels are axis 1 except where the family member says
    otherwise. Its module's parameters are called `weight` (γ, ones at the start) and `bias` (β, zeros).
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (4, 5), (4, 3, 5))
