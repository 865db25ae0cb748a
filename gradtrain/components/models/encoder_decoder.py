"""The transformer that translates."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.translator import Translator
from gradtrain.components.models import Model
from gradtrain.stage import Shape


class EncoderDecoder(Model):
    """Reads one text and writes another: translation, correction, reversal.

    value     x → translator: one score a symbol, at every place of the target
    gradient  that of `translator`
    paper     Vaswani et al. (2017), NeurIPS, arXiv:1706.03762; norms before the branches: Xiong et al. (2020), ICML,
              arXiv:2002.04745
    shape     int64 [batch, source + target] → [batch, target, vocab]
    note      For the objective `seq2seq`, with the samples that `pairs` and `reversal` make.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,),)
    cases = [
        {"source": 3, "vocab": 4, "layers": 1, "heads": 1, "width": 4},
        {"source": 4, "vocab": 3, "layers": 1, "heads": 2, "width": 4, "dropout": 0.1, "positions": "sinusoidal"},
    ]

    source: PositiveInt
    """Places of the source, which come first: `$data.source`."""
    vocab: PositiveInt
    """Different symbols of both texts: `$data.vocab`."""
    layers: PositiveInt
    """Blocks of the encoder, and as many of the decoder."""
    heads: PositiveInt
    """Heads of every attention."""
    width: PositiveInt
    """Numbers that stand for one symbol; a multiple of `heads`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a number is silenced while training."""
    positions: Literal["learned", "sinusoidal"] = "learned"
    """How a symbol's place is told."""
    expand: PositiveFloat = 4.0
    """Width of the hidden layer of the mlps, as a multiple of the width."""

    def expanded(self) -> Layers:
        translator = Translator(
            source=self.source, vocab=self.vocab, layers=self.layers, heads=self.heads, width=self.width,
            dropout=self.dropout, positions=self.positions, expand=self.expand,
        )  # fmt: skip
        return (Placed(part=translator, name="translator"),)
