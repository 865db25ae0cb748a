"""The vision transformer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.class_token import ClassToken
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.patches import Patches
from gradtrain.components.layers.positions import Positions
from gradtrain.components.layers.repeat import Repeat
from gradtrain.components.layers.take_first import TakeFirst
from gradtrain.components.layers.transformer_block import TransformerBlock
from gradtrain.components.models import Model
from gradtrain.components.normalizations import Normalization
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.stage import Shape


class Vit(Model):
    """Reads an image as a sequence of patches, and a learned first step says what it is.

    value     x → patches → class_token → positions → layers times transformer_block → norm → first step → linear
    gradient  the chain rule over its layers
    paper     Dosovitskiy et al. (2021), ICLR, arXiv:2010.11929
    shape     [batch, channel, height, width] → [batch, out]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((1, 4, 4),)
    cases = [{"patch": 2, "layers": 1, "heads": 2, "width": 4, "out": 3}]

    patch: PositiveInt
    """Side of a patch, in pixels; the image's sides are multiples of it."""
    layers: PositiveInt
    """Transformer blocks."""
    heads: PositiveInt
    """Heads of every attention."""
    width: PositiveInt
    """Numbers that stand for one patch."""
    out: PositiveInt
    """Number of outputs: raw scores or values."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a number is silenced while training."""
    positions: Literal["learned", "sinusoidal"] = "learned"
    """How a patch's place is told."""
    norm: Normalization = LayerNorm()
    """In the blocks and at the end; the config's `normalization:` takes its place."""

    def expanded(self) -> Layers:
        block = TransformerBlock(heads=self.heads, dropout=self.dropout, norm=self.norm)
        return (
            Placed(part=Patches(size=self.patch, width=self.width), name="patches"),
            Placed(part=ClassToken(), name="class_token"),
            Placed(part=Positions(kind=self.positions), name="positions"),
            *((Placed(part=Dropout(p=self.dropout)),) if self.dropout else ()),
            Placed(part=Repeat(times=self.layers, layers=(Placed(part=block, name="block"),)), name="blocks"),
            Placed(part=self.norm, name="norm"),
            Placed(part=TakeFirst()),
            Placed(part=Linear(out=self.out), name="head"),
        )
