"""The discriminator of a DCGAN."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.activations.leaky_relu import LeakyRelu
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.reshape import Reshape
from gradtrain.components.models import Model
from gradtrain.components.models._dcgan import halvings
from gradtrain.components.normalizations import Normalization
from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.stage import Shape


class DcganDiscriminator(Model):
    """Tells made images from real ones: convolutions halve the image until one score is left.

    value     x → (conv → norm → activation) at every halving, the first without norm, → conv → reshape: a raw score
    gradient  the chain rule over its layers
    paper     Radford, Metz & Chintala (2016), ICLR, arXiv:1511.06434
    shape     [batch, channel, size, size] → [batch, 1]
    note      2,765,568 parameters for 3 channels of 64x64 pixels, as pytorch/examples has it. No sigmoid: the losses of
              `gan` take raw scores. A game that scores each sample by itself (wasserstein with a gradient penalty)
              wants `norm: layer_norm`.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((2, 8, 8), (1, 14, 14), (1, 16, 16))
    cases = [{"size": 8, "features": 2}, {"size": 14, "features": 2}, {"size": 16, "features": 1}]

    size: Annotated[int, Field(ge=4)] = 64
    """Side of the image, in pixels."""
    features: PositiveInt = 64
    """Channels of the first layer; twice as many at half the size, and so on."""
    activation: Activation = LeakyRelu(slope=0.2)
    """After every layer but the last."""
    norm: Normalization = BatchNorm()
    """After every layer but the first and the last; the config's `normalization:` takes its place."""

    def expanded(self) -> Layers:
        smallest, times = halvings(self.size)
        items: list[Placed] = []
        for number in range(times):
            width = self.features * 2**number
            items.append(Placed(part=Conv(out=width, kernel=4, stride=2, padding=1, bias=False)))
            items += [Placed(part=self.norm)] if number else []
            items.append(Placed(part=self.activation))
        return (*items, Placed(part=Conv(out=1, kernel=smallest, bias=False)), Placed(part=Reshape(into=(1,))))
