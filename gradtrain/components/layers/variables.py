"""Numbers to be found, without an input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Variables(Layer):
    """Puts out the same learned numbers whatever it reads: the variables of a function that is to be minimised.

    value     y_i = weight_i, for every sample
    gradient  dx = 0,  dweight = Σ g over the batch
    shape     [batch, ...] → [batch, variables]; weight [variables]
    note      The first layer of a network for the objective `minimize`; initializers leave it as it is written, unless
              their `params` are `all`.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((1,), (5, 4))
    cases = [{"start": (5.0, -3.0)}, {"start": (0.0,)}]

    start: Annotated[tuple[float, ...], Field(min_length=1, max_length=10_000)]
    """Where the variables start, one number each."""

    def output_shape(self, shape: Shape) -> Shape:
        return (len(self.start),)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Variables as Module

        return Module(torch.tensor(self.start, dtype=torch.get_default_dtype()))

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.ones(len(x), 1, dtype=x.dtype) * parameters["weight"]

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": torch.zeros_like(x), "weight": g.sum(dim=0)}
