"""The residual network for small images."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.activations.relu import Relu
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.global_avg_pool import GlobalAvgPool
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.residual import Residual
from gradtrain.components.models import Model
from gradtrain.components.normalizations import Normalization
from gradtrain.components.normalizations.batch_norm import BatchNorm


class Resnet(Model):
    """Blocks of two convolutions with a way around each, so that depth does not starve the first layers of gradient.

    value     x → conv → norm → activation → for every width: blocks of activation(body(x) + shortcut(x)), the first of
              a new width with stride 2 → global_avg_pool → linear
    gradient  the chain rule over its layers; every block adds the identity's share
    paper     He, Zhang, Ren & Sun (2016), CVPR, section 4.2, arXiv:1512.03385
    shape     [batch, channel, height, width] → [batch, out]
    note      6 n + 2 layers with widths (16, 32, 64) and blocks n. Where the shape changes the shortcut is a 1x1
              convolution (the paper's option B, without normalization); the paper's CIFAR nets pad with zeros.
    """

    cases = [{"out": 3, "widths": (2, 3), "blocks": 1}]

    out: PositiveInt
    """Number of outputs: raw scores or values."""
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (16, 32, 64)
    """Channels of the stages."""
    blocks: PositiveInt = 3
    """Residual blocks in every stage."""
    activation: Activation = Relu()
    """After every convolution and every sum."""
    norm: Normalization = BatchNorm()
    """After every convolution; the config's `normalization:` takes its place."""

    def expanded(self) -> Layers:
        items = [*self._convolution(self.widths[0], 1), Placed(part=self.activation)]
        for stage, width in enumerate(self.widths):
            for block in range(self.blocks):
                first = self._convolution(width, 2 if stage and not block else 1)
                body = (*first, Placed(part=self.activation), *self._convolution(width, 1))
                items += [Placed(part=Residual(body=body, shortcut="auto")), Placed(part=self.activation)]
        return (*items, Placed(part=GlobalAvgPool()), Placed(part=Linear(out=self.out), name="head"))

    def _convolution(self, width: int, stride: int) -> tuple[Placed, Placed]:
        return Placed(part=Conv(out=width, kernel=3, stride=stride, padding=1, bias=False)), Placed(part=self.norm)
