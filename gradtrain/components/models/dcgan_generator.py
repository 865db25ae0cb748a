"""The generator of a DCGAN."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.activations.relu import Relu
from gradtrain.components.activations.tanh import Tanh
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.conv_transpose import ConvTranspose
from gradtrain.components.models import Model
from gradtrain.components.models._dcgan import halvings
from gradtrain.components.normalizations import Normalization
from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.stage import Shape


class DcganGenerator(Model):
    """Turns noise into an image that grows from a few pixels, doubling its sides at every step.

    value     z → conv_transpose → norm → activation, several times, → conv_transpose → tanh: numbers between -1 and 1
    gradient  the chain rule over its layers
    paper     Radford, Metz & Chintala (2016), ICLR, arXiv:1511.06434
    shape     [batch, noise, 1, 1] → [batch, channels, size, size]
    note      3,576,704 parameters for 100 numbers of noise and 3 channels of 64x64 pixels, as pytorch/examples has it.
              The first layer gives an image of 4x4 pixels, or of 7x7 for a size of 28. The paper starts all weights
              from N(0, 0.02²): write so under `init:`.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((5, 1, 1),)
    cases = [{"channels": 1, "size": 8, "features": 2}, {"channels": 2, "size": 14, "features": 1}]

    channels: PositiveInt
    """Of the image: `$data.channels`."""
    size: Annotated[int, Field(ge=4)] = 64
    """Side of the image, in pixels."""
    features: PositiveInt = 64
    """Channels before the last layer; twice as many at half the size, and so on."""
    activation: Activation = Relu()
    """Between the layers."""
    norm: Normalization = BatchNorm()
    """After every layer but the last; the config's `normalization:` takes its place."""

    def expanded(self) -> Layers:
        smallest, times = halvings(self.size)
        widths = [*(self.features * 2**n for n in reversed(range(times))), self.channels]
        first = ConvTranspose(out=widths[0], kernel=smallest, bias=False)
        items = [Placed(part=first)]
        for width in widths[1:]:
            items += [Placed(part=self.norm), Placed(part=self.activation)]
            items.append(Placed(part=ConvTranspose(out=width, kernel=4, stride=2, padding=1, bias=False)))
        return (*items, Placed(part=Tanh()))
