"""The recurrent language model."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from gradtrain.components.layers import Layer, Layers, Placed
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.embedding import Embedding
from gradtrain.components.layers.gru import Gru
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.lstm import Lstm
from gradtrain.components.layers.rnn import Rnn
from gradtrain.components.models import Model
from gradtrain.stage import Shape


class RnnLm(Model):
    """Reads symbol by symbol into a memory of fixed size, and says from it what comes next.

    value     x → embedding → dropout → lstm, gru or rnn → dropout → linear: one score a symbol
    gradient  the chain rule over its layers, backwards through time
    paper     Mikolov et al. (2010), Interspeech; Zaremba, Sutskever & Vinyals (2014), arXiv:1409.2329
    shape     int64 [batch, time] → [batch, time, vocab]
    note      With `tie_embeddings` the embedding is as wide as the memory.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4,),)
    cases = [
        {"cell": "lstm", "width": 3, "size": 4, "vocab": 5},
        {"cell": "gru", "width": 4, "size": 4, "vocab": 5, "tie_embeddings": True},
        {"cell": "rnn", "width": 3, "size": 3, "vocab": 4, "layers": 2},
    ]

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """What the memory is made of."""
    width: PositiveInt
    """Numbers that stand for one symbol."""
    size: PositiveInt
    """Numbers in the memory."""
    vocab: PositiveInt
    """Different symbols: `$data.vocab`."""
    layers: PositiveInt = 1
    """Memories on top of one another."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a number is silenced while training, between all parts."""
    tie_embeddings: bool = False
    """The last layer uses the embedding's table."""

    def expanded(self) -> Layers:
        cells: dict[str, type[Layer]] = {"lstm": Lstm, "gru": Gru, "rnn": Rnn}
        inner = self.dropout if self.layers > 1 else 0.0
        cell = cells[self.cell](size=self.size, layers=self.layers, dropout=inner)  # type: ignore[call-arg]
        drop = (Placed(part=Dropout(p=self.dropout)),) if self.dropout else ()
        return (
            Placed(part=Embedding(width=self.width, vocab=self.vocab), name="tokens"),
            *drop,
            Placed(part=cell, name="memory"),
            *drop,
            Placed(part=Linear(out=self.vocab), name="head", share="tokens" if self.tie_embeddings else None),
        )
