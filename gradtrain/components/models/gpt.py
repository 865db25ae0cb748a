"""The generative pre-trained transformer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.activations.gelu import Gelu
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.embedding import Embedding
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.positions import Positions
from gradtrain.components.layers.repeat import Repeat
from gradtrain.components.layers.transformer_block import TransformerBlock
from gradtrain.components.models import Model
from gradtrain.components.normalizations import Normalization
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.stage import Shape


class Gpt(Model):
    """Says after every symbol what comes next, from all symbols before it.

    value     x → embedding + positions → layers times transformer_block → norm → linear: one score a symbol
    gradient  the chain rule over its layers; a tied embedding collects that of the first and of the last layer
    paper     Radford et al. (2019), Language Models are Unsupervised Multitask Learners
    shape     int64 [batch, time] → [batch, time, vocab]
    note      Biases and norms as GPT-2 has them; `bias: false` leaves both without, as nanoGPT does. GPT-2 starts its
              weights from N(0, 0.02²), the `*.proj.weight` from N(0, 0.02² / (2 layers)): write so under `init:`.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((5,),)
    cases = [
        {"layers": 1, "heads": 2, "width": 4, "vocab": 5},
        {
            "layers": 2,
            "heads": 1,
            "width": 4,
            "vocab": 3,
            "bias": False,
            "positions": "rotary",
            "tie_embeddings": False,
        },
    ]

    layers: PositiveInt
    """Transformer blocks."""
    heads: PositiveInt
    """Heads of every attention."""
    width: PositiveInt
    """Numbers that stand for one symbol."""
    vocab: PositiveInt
    """Different symbols: `$data.vocab`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a number is silenced while training."""
    bias: bool = True
    """Learn biases in the linear maps and norms."""
    positions: Literal["learned", "sinusoidal", "rotary"] = "learned"
    """How a symbol's place is told."""
    norm: Normalization | None = None
    """By default layer_norm, or the config's `normalization:`."""
    norm_place: Literal["pre", "post"] = "pre"
    """Before or after the branches of a block."""
    activation: Activation = Gelu()
    """Inside the blocks."""
    tie_embeddings: bool = True
    """The last layer uses the embedding's table."""

    def expanded(self) -> Layers:
        norm = self.norm if self.norm is not None else LayerNorm(bias=self.bias)
        rotary = self.positions == "rotary"
        block = TransformerBlock(
            heads=self.heads, causal=True, dropout=self.dropout, bias=self.bias, rotary=rotary,
            activation=self.activation, norm=norm, norm_place=self.norm_place,
        )  # fmt: skip
        items = [Placed(part=Embedding(width=self.width, vocab=self.vocab), name="tokens")]
        items += (
            []
            if rotary
            else [
                Placed(
                    part=Positions(kind="sinusoidal" if self.positions == "sinusoidal" else "learned"), name="positions"
                )
            ]
        )
        items += [Placed(part=Dropout(p=self.dropout))] if self.dropout else []
        items.append(Placed(part=Repeat(times=self.layers, layers=(Placed(part=block, name="block"),)), name="blocks"))
        items += [Placed(part=norm, name="norm")] if self.norm_place == "pre" else []
        head = Linear(out=self.vocab, bias=False)
        return (*items, Placed(part=head, name="head", share="tokens" if self.tie_embeddings else None))
