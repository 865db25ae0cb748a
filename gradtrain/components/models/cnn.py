"""A plain convolutional network."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.activations.relu import Relu
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.flatten import Flatten
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.max_pool import MaxPool
from gradtrain.components.models import Model
from gradtrain.components.normalizations import Normalization


class Cnn(Model):
    """Convolutions that see more and more of the image while it shrinks, and a small perceptron on top.

    value     x → (conv → norm → activation → max_pool) for every width → flatten → (linear → activation → dropout) for
              every width in hidden → linear
    gradient  the chain rule over its layers
    paper     LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11):2278-2324, doi:10.1109/5.726791
    shape     [batch, channel, height, width] → [batch, out]
    """

    cases = [{"widths": (3, 4), "out": 3}, {"widths": (2,), "out": 2, "hidden": (5,), "kernel": 5}]

    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """Channels of the convolutions."""
    out: PositiveInt
    """Number of outputs: raw scores or values."""
    kernel: PositiveInt = 3
    """Size of the convolutions' windows; the image keeps its size (`padding: same`)."""
    pool: PositiveInt = 2
    """Factor by which the image shrinks after every convolution."""
    hidden: tuple[PositiveInt, ...] = ()
    """Widths of fully connected layers before the output."""
    activation: Activation = Relu()
    """After every convolution and hidden layer."""
    norm: Normalization | None = None
    """Between a convolution and its activation; by default the config's `normalization:`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a unit before a fully connected layer is silenced while training."""

    def expanded(self) -> Layers:
        items: list[Placed] = []
        for width in self.widths:
            items.append(Placed(part=Conv(out=width, kernel=self.kernel, padding="same", bias=self.norm is None)))
            items += [Placed(part=self.norm)] if self.norm is not None else []
            items += [Placed(part=self.activation)]
            items += [Placed(part=MaxPool(kernel=self.pool))] if self.pool > 1 else []
        items.append(Placed(part=Flatten()))
        quiet = [Placed(part=Dropout(p=self.dropout))] if self.dropout else []
        for width in self.hidden:
            items += [*quiet, Placed(part=Linear(out=width)), Placed(part=self.activation)]
        return (*items, *quiet, Placed(part=Linear(out=self.out), name="head"))
