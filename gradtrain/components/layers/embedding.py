"""A table of vectors, one a symbol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Embedding(Layer):
    """Looks up a learned vector for every symbol, so that similar symbols can become similar vectors.

    value     y = weight_x
    gradient  dweight_s = Σ of g at the places where x = s;  symbols have no derivative
    paper     Bengio, Ducharme, Vincent & Jauvin (2003), J. Mach. Learn. Res. 3:1137-1155
    shape     int64 [batch, time] → [batch, time, width]; weight [vocab, width]
    note      It starts with the standard normal distribution, as nn.Embedding does.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((5,),)
    cases = [{"width": 3, "vocab": 4}]

    width: PositiveInt
    """Numbers in a vector."""
    vocab: PositiveInt
    """Different symbols: `$data.vocab`."""

    def symbols(self) -> int:
        return self.vocab

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise Misfit(f"`embedding` takes a sequence of symbols [time], got {list(shape)}")
        return (*shape, self.width)

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        return nn.Embedding(self.vocab, self.width)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        weight = parameters["weight"]
        return (x.unsqueeze(-1) == torch.arange(self.vocab)).to(weight.dtype) @ weight

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        chosen = (x.reshape(1, -1) == torch.arange(self.vocab)[:, None]).to(g.dtype)
        return {"weight": chosen @ g.reshape(-1, self.width)}
