"""A random window of a padded image."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from gradtrain.components.augmentations import Augmentation
from gradtrain.lazy import F, Tensor, torch
from gradtrain.stage import Misfit, Shape


class RandomCrop(Augmentation):
    """Pads every image and cuts a window at a random place: the model learns not to mind small shifts.

    shape     [batch, channel, height, width] → [batch, channel, size, size]
    """

    cases = [{"size": 6, "padding": 2}, {"size": 4, "padding": 1, "fill": "constant"}]

    size: PositiveInt
    """Height and width of the window, in pixels."""
    padding: NonNegativeInt = 0
    """Pixels put around the image, on every side."""
    fill: Literal["reflect", "constant"] = "reflect"
    """What the padding shows: the image mirrored, or 0 (in the transformed values)."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise Misfit(
                f"`random_crop` takes images [channels, height, width], got {list(shape)}",
                "put it before `flatten`, or leave `flatten` to the model",
            )
        if min(shape[1:]) + 2 * self.padding < self.size:
            raise Misfit(
                f"`random_crop` of {self.size} does not fit an image of {shape[1]}x{shape[2]} padded by {self.padding}"
            )
        if self.fill == "reflect" and self.padding >= min(shape[1:]):
            raise Misfit(f"`random_crop` cannot mirror {self.padding} pixels of an image of {shape[1]}x{shape[2]}")
        return (shape[0], self.size, self.size)

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        p = self.padding
        padded = F.pad(x, (p, p, p, p), mode=self.fill) if p else x
        count, channels, height, width = padded.shape
        top = torch.randint(0, height - self.size + 1, (count, 1), generator=generator)
        left = torch.randint(0, width - self.size + 1, (count, 1), generator=generator)
        steps = torch.arange(self.size)
        places = ((top + steps).unsqueeze(2) * width + (left + steps).unsqueeze(1)).reshape(count, 1, -1).to(x.device)
        cut = padded.reshape(count, channels, -1).gather(2, places.expand(-1, channels, -1))
        return cut.reshape(count, channels, self.size, self.size)
