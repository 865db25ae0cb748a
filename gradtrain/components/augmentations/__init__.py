"""The family of augmentations."""

from __future__ import annotations

from gradtrain.lazy import Tensor, torch
from gradtrain.registry import Component
from gradtrain.stage import Shape


class Augmentation(Component):
    """An augmentation changes the samples of a training batch at random; evaluation never sees it.

    It maps a transformed batch `[batch, *shape]` to `[batch, *output_shape(shape)]` and draws from the generator it
    is given and from nothing else, so that the batch is a pure function of (seed, epoch, position).
    """

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample afterwards. Raises `Misfit`; imports no torch."""
        return shape

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The augmented batch; `x` is left unchanged."""
        raise NotImplementedError
