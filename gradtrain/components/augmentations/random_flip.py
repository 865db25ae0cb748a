"""A mirror, half of the time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gradtrain.components.augmentations import Augmentation
from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Misfit, Shape


class RandomFlip(Augmentation):
    """Mirrors every image with probability p.

    shape     [batch, channel, height, width]
    """

    cases = [{}, {"direction": "vertical", "p": 0.3}]

    direction: Literal["horizontal", "vertical"] = "horizontal"
    """Left and right, or top and bottom, change places."""
    p: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability of the mirror."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise Misfit(
                f"`random_flip` takes images [channels, height, width], got {list(shape)}",
                "leave `flatten` to the model",
            )
        return shape

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        chosen = (torch.rand(len(x), 1, 1, 1, generator=generator) < self.p).to(x.device)
        return torch.where(chosen, x.flip(3 if self.direction == "horizontal" else 2), x)
