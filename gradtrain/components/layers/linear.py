"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class Linear(Layer):
    """Every output is a weighted sum of all inputs, plus a number of its own.

    value     y_o = Σ_i weight_oi x_i + bias_o
    gradient  dx = g weight,  dweight = Σ gᵀ x,  dbias = Σ g,  summed over the batch
    paper     Rosenblatt (1958), Psychological Review 65(6):386-408, doi:10.1037/h0042519
    shape     [batch, features] or [batch, time, features]; weight [out, in], bias [out]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (5, 4))
    cases = [{"out": 3}, {"out": 1, "bias": False}]

    out: PositiveInt
    """Number of outputs."""
    bias: bool = True
    """Add a learned number to every output."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) > 2 or not shape:
            image = f": {shape[0]} channels of {shape[1]}x{shape[2]}" if len(shape) == 3 else ""
            raise Misfit(
                f"`linear` takes [features] or [time, features], got {list(shape)}{image}", "put `flatten` before it"
            )
        return (*shape[:-1], self.out)

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        return nn.Linear(shape[-1], self.out, bias=self.bias)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        y = (x.unsqueeze(-2) * parameters["weight"]).sum(dim=-1)
        return y + parameters["bias"] if self.bias else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        rows, columns = g.reshape(-1, self.out), x.reshape(-1, x.shape[-1])
        answer = {"x": g @ parameters["weight"], "weight": rows.T @ columns}
        return {**answer, "bias": rows.sum(dim=0)} if self.bias else answer
