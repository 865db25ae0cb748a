"""An encoder and a decoder with attention between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._attention import past
from gradtrain.components.layers._translation import Pieces, Step, chained
from gradtrain.components.layers.positions import Positions
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape

FILLING = 0
"""The symbol that fills a source up to its length."""


class Translator(Layer):
    """Reads a whole text, then says after every symbol of another one what comes next, looking back at what it read.

    With E = tokens.weight, drawn out by √width, and norm as in layer_norm:

    value     m = E_source + positions;  every encoder block: m += attention(norm(m)), m += mlp(norm(m));  m = norm(m)
              y = E_target + positions;  every decoder block: y += attention(norm(y)) over earlier places,
              y += attention(norm(y) to m), y += mlp(norm(y));  scores = norm(y) Eᵀ
    gradient  the chain rule from the last sum to the first; dm adds up over the decoder blocks, dE over source, target
              and scores
    paper     Vaswani et al. (2017), NeurIPS, arXiv:1706.03762
    shape     int64 [batch, source + target] → [batch, target, vocab]; tokens.weight [vocab, width], encoder.0.up, …
    note      The symbol 0 of a source is filling, which no place looks at; of a source that is filling alone the first
              place is read. Norms stand before the branches, where the paper has them after the sums. The table starts
              from N(0, 1 / width), so that what is read and the scores have about unit variance.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((7,), (5,))
    cases = [
        {"source": 4, "vocab": 5, "layers": 1, "heads": 2, "width": 4},
        {"source": 3, "vocab": 3, "layers": 2, "heads": 1, "width": 4, "positions": "sinusoidal", "dropout": 0.2,
         "expand": 2.0},
    ]  # fmt: skip
    random = True

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
    """Probability that a number is silenced while training: of vectors, attention's answers and every branch."""
    positions: Literal["learned", "sinusoidal"] = "learned"
    """How a symbol's place is told."""
    expand: PositiveFloat = 4.0
    """Width of the hidden layer of the mlps, as a multiple of the width."""

    def symbols(self) -> int:
        return self.vocab

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise Misfit(f"`translator` takes symbols [source + target], got {list(shape)}")
        if shape[0] <= self.source:
            raise Misfit(
                f"a source of {self.source} places leaves no target in {list(shape)}",
                "write `source: $data.source`",
            )
        if self.width % self.heads:
            raise Misfit(
                f"a width of {self.width} does not divide into {self.heads} heads", "make it a multiple of `heads`"
            )
        self._places().output_shape((1, self.width))
        return (shape[0] - self.source, self.vocab)

    def _places(self) -> Positions:
        return Positions(kind=self.positions)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.translation import Translator as Module

        target, _ = self.output_shape(shape)
        return Module(
            self._places().build((self.source, self.width)),
            self._places().build((target, self.width)),
            source=self.source,
            vocab=self.vocab,
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            hidden=round(self.expand * self.width),
            dropout=self.dropout,
        )

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return self._pass(x, parameters)[0]

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return self._pass(x, parameters)[1](g)

    def _pass(
        self, x: Tensor, parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, Callable[[Tensor], Mapping[str, Tensor]]]:
        pieces, table = Pieces(parameters, self.heads, self.dropout), parameters["tokens.weight"]
        chosen = (x.unsqueeze(-1) == torch.arange(self.vocab)).to(table.dtype)
        vectors = math.sqrt(self.width) * (chosen @ table)
        seen = self._readable(x[:, : self.source])

        def places(side: str) -> tuple[Step, Step]:
            return pieces.stage(self._places(), f"{side}_positions"), pieces.drop

        encoder = [pieces.block(f"encoder.{i}", seen) for i in range(self.layers)]
        encode = chained(*places("source"), *encoder, pieces.stage(LayerNorm(), "encoder_norm"))
        memory, encoder_back = encode(vectors[:, : self.source])

        earlier = past(x.shape[1] - self.source)
        decoder = [pieces.block(f"decoder.{i}", earlier, memory, seen) for i in range(self.layers)]
        decode = chained(*places("target"), *decoder, pieces.stage(LayerNorm(), "decoder_norm"))
        y, decoder_back = decode(vectors[:, self.source :])

        def back(g: Tensor) -> Mapping[str, Tensor]:
            to_target = decoder_back(g @ table)
            to_source = encoder_back(pieces.found.pop("memory"))
            read = math.sqrt(self.width) * torch.cat([to_source, to_target], dim=1)
            pieces.collect("tokens.weight", chosen.flatten(0, 1).T @ read.flatten(0, 1))
            pieces.collect("tokens.weight", g.flatten(0, 1).T @ y.flatten(0, 1))
            return pieces.found

        return y @ table.T, back

    def _readable(self, source: Tensor) -> Tensor:
        """[batch, 1, 1, time]: where attention may look."""
        keep = source != FILLING
        first = torch.arange(source.shape[1]) == 0
        return (keep | (first & ~keep.any(dim=1, keepdim=True)))[:, None, None]
