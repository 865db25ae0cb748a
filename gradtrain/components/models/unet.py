"""The U-Net."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.activations.relu import Relu
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.conv_transpose import ConvTranspose
from gradtrain.components.layers.max_pool import MaxPool
from gradtrain.components.layers.save import Save
from gradtrain.components.layers.take import Take
from gradtrain.components.models import Model
from gradtrain.components.normalizations import Normalization


class Unet(Model):
    """Shrinks an image to see what is in it, grows it again to say where, and looks at the fine picture on the way.

    value     x → (2 times conv → norm → activation) → save → max_pool, at every width but the last; there
              the convolutions alone; then back up at every width: conv_transpose → take what was saved beside it → the
              convolutions again; → conv of 1x1
    gradient  the chain rule over its layers; what was saved collects from both of its readers
    paper     Ronneberger, Fischer & Brox (2015), MICCAI, arXiv:1505.04597
    shape     [batch, channel, height, width] → [batch, out, height, width]; the sides are multiples of
              2^(number of widths - 1)
    note      The convolutions keep the size of the image; the paper's do not, and crop what was saved.
    """

    cases = [{"out": 2, "widths": (2, 3)}, {"out": 1, "widths": (1, 2, 2)}, {"out": 1, "widths": (3,)}]

    out: PositiveInt
    """Channels of the answer: classes or values of every pixel."""
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=10)] = (16, 32, 64)
    """Channels at every size, from the finest to the coarsest."""
    activation: Activation = Relu()
    """After every convolution."""
    norm: Normalization | None = None
    """Between a convolution and its activation; by default the config's `normalization:`."""

    def expanded(self) -> Layers:
        items: list[Placed] = []
        for level, width in enumerate(self.widths[:-1]):
            items += [*self._twice(width), Placed(part=Save(key=f"level_{level}")), Placed(part=MaxPool(kernel=2))]
        items += self._twice(self.widths[-1])
        for level, width in reversed(list(enumerate(self.widths[:-1]))):
            up = ConvTranspose(out=width, kernel=2, stride=2)
            items += [Placed(part=up), Placed(part=Take(key=f"level_{level}", merge="concat")), *self._twice(width)]
        return (*items, Placed(part=Conv(out=self.out, kernel=1), name="head"))

    def _twice(self, width: int) -> list[Placed]:
        conv = Placed(part=Conv(out=width, kernel=3, padding="same", bias=self.norm is None))
        norm = [Placed(part=self.norm)] if self.norm is not None else []
        return 2 * [conv, *norm, Placed(part=self.activation)]
