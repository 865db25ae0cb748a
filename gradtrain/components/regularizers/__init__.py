"""The family of regularizers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from gradtrain.lazy import Tensor, torch
from gradtrain.registry import Component


class Regularizer(Component):
    """A regularizer is a penalty on one tensor, added to the loss; the penalties of a selection add up.

    `of` says what the tensor is: a parameter (`weight`, of any shape), what a module puts out in training (`output`,
    [batch, ...]), the derivative of a network's scores by its input (`input_gradient`, [batch, ...]), or a parameter
    that is moved back where it is allowed to be after every update (`constraint`). The penalty is 0-d, in units of
    the loss; a constraint gives the tensor that takes the parameter's place.
    """

    of: ClassVar[Literal["weight", "output", "input_gradient", "constraint"]] = "weight"

    def forward(self, weight: Tensor) -> Tensor:
        """What trains: the penalty of one tensor, 0-d; for a constraint the tensor that is allowed."""
        raise NotImplementedError

    def textbook(self, weight: Tensor) -> Tensor:
        """What was published."""
        raise NotImplementedError

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        """The closed-form derivative times the incoming gradient `g`, in the shape of `weight`."""
        raise NotImplementedError

    def kink(self, weight: Tensor) -> Tensor | None:
        """A tensor with zeros where the derivative jumps; None when the penalty is smooth."""
        return None

    def points(self, real: Tensor, fake: Tensor | None) -> Tensor:
        """For an `input_gradient`: where it is measured, [batch, ...]."""
        return real

    @property
    def fakes(self) -> bool:
        """For an `input_gradient`: whether `points` needs made-up samples."""
        return False

    @property
    def directions(self) -> int:
        """For an `input_gradient`: how many times the output is projected; the mean of the penalties counts."""
        return 1

    def project(self, scores: Tensor) -> Tensor:
        """For an `input_gradient`: the 0-d number that is differentiated by the input."""
        return scores.sum()

    def samples(self, generator: torch.Generator) -> list[Tensor]:
        """Tensors in float64: a matrix, a filter bank, a vector, and one with exact zeros."""
        draw: dict[str, Any] = {"generator": generator, "dtype": torch.float64}
        holed = torch.randn(3, 4, **draw)
        holed[0] = 0.0
        return [torch.randn(5, 4, **draw), torch.randn(3, 2, 3, 3, **draw), torch.randn(6, **draw), holed]


def rows(weight: Tensor) -> Tensor:
    """[out, in]: one row an output, kernels and inputs in one axis; a vector has rows of one number."""
    return weight.reshape(len(weight), -1)
