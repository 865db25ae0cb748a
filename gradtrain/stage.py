"""What can stand in a list of layers: a stage maps one tensor to one tensor and knows its shapes without torch.

Shapes are written without the batch axis and channel-first: `(features,)`, `(channels, height, width)`,
`(time, features)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeAlias

from gradtrain.lazy import Tensor, nn
from gradtrain.registry import Component

Shape: TypeAlias = tuple[int, ...]


class Misfit(ValueError):
    """A stage cannot take an input of this shape.

    `str(error)` says what is wrong with both shapes in it, `help` what to write, and `path` leads from the outermost
    list of layers to the culprit: positions and field names, `(3, "body", 1)`.
    """

    def __init__(self, what: str, help: str = "") -> None:
        super().__init__(what)
        self.help = help
        self.path: tuple[int | str, ...] = ()


class Stage(Component):
    """A component that maps a tensor `[batch, *shape]` to a tensor `[batch, *output_shape(shape)]`.

    Activations, normalizations, layers and models are stages. `build` gives the module that trains; `textbook` and
    `gradient` state the same function in plain tensor algebra over explicit parameters.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (5, 4), (4, 5, 5))
    """Input shapes that the contract checks build and prove the stage at."""

    random: ClassVar[bool] = False
    """True when the training-mode output draws from torch's generator (dropout)."""

    surrogate: ClassVar[str] = ""
    """The function whose derivative `gradient` is, where it is not the value's own on purpose; what it takes for
    constant. Differences are then no witness."""

    def symbols(self) -> int | None:
        """How many symbols the input's numbers stand for, when they are indices (int64); None for real numbers."""
        return None

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape for an input shape. Raises `Misfit`; imports no torch."""
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """The module that trains, in torch's default dtype, its parameters initialised as PyTorch does."""
        raise NotImplementedError

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        """The published equation in training mode; `parameters` are the module's, under their names in it.

        Its buffers are among them, as they stood before the forward pass.
        """
        raise NotImplementedError

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        """The derivative: incoming gradient `g` [batch, *output] → {"x": …, one a parameter by its name}.

        Indices have no derivative: without real numbers as input there is no "x".
        """
        raise NotImplementedError

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor | None:
        """A tensor with zeros where the derivative jumps; None when the stage is smooth."""
        return None
