"""The family of layers, and what may stand in a `layers:` list."""

from __future__ import annotations

from typing import TypeAlias

from gradtrain.components.activations import Activation
from gradtrain.components.normalizations import Normalization
from gradtrain.registry import Use
from gradtrain.stage import Stage


class Layer(Stage):
    """A layer maps `[batch, *shape]` to `[batch, *output_shape(shape)]`; images are `[batch, channel, height, width]`.

    Parameters are called `weight` and `bias`, as in PyTorch. Layers that hold lists of layers (residual, repeat,
    parallel) state their own rule and chain the textbooks of what they hold.
    """


class Placed(Use):
    """One item of a `layers:` list."""

    part: Layer | Activation | Normalization
    name: str | None = None
    """The name of its parameters in selectors and checkpoints; its position in the list by default."""


Layers: TypeAlias = tuple[Placed, ...]
