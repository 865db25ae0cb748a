"""Where a step stands in its sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from gradtrain.components.layers import Layer
from gradtrain.components.layers._attention import angles
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Positions(Layer):
    """Adds to every step a vector that depends on its place, which attention could not tell otherwise.

    value     y_t = x_t + weight_t;  sinusoidal: weight_t,2i = sin(t / 10000^(2i/width)), weight_t,2i+1 = cos(the same)
    gradient  dx = g,  dweight_t = Σ g_t over the batch
    paper     Vaswani et al. (2017), NeurIPS, section 3.5, arXiv:1706.03762
    shape     [batch, time, width] → the same; weight [time, width]
    note      Learned positions start with the standard normal distribution, as nn.Embedding does. `rotary` positions
              are a parameter of `attention`.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((5, 4), (3, 6))
    cases = [{}, {"kind": "sinusoidal"}]

    kind: Literal["learned", "sinusoidal"] = "learned"
    """A table that is learned, or waves of all lengths."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise Misfit(
                f"`positions` takes [time, width], got {list(shape)}", "put `embedding` or `patches` before it"
            )
        if self.kind == "sinusoidal" and shape[1] % 2:
            raise Misfit(f"sinusoidal positions come in pairs, the width is {shape[1]}", "make the width even")
        return shape

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.attention import Positions as Module

        time, width = self.output_shape(shape)
        if self.kind == "learned":
            return Module(torch.randn(time, width), learned=True)
        waves = angles(time, width)
        return Module(torch.stack([waves.sin(), waves.cos()], dim=-1).flatten(1), learned=False)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x + parameters["weight"]

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": g} if self.kind == "sinusoidal" else {"x": g, "weight": g.sum(dim=0)}
