"""A learned first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class ClassToken(Layer):
    """Puts a learned vector before the sequence, where attention can gather what the whole of it says.

    value     y_0 = weight,  y_t+1 = x_t
    gradient  dx_t = g_t+1,  dweight = Σ g_0 over the batch
    paper     Devlin et al. (2019), NAACL, arXiv:1810.04805; Dosovitskiy et al. (2021), ICLR, arXiv:2010.11929
    shape     [batch, time, width] → [batch, 1 + time, width]; weight [1, width]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4, 3),)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise Misfit(f"`class_token` takes [time, width], got {list(shape)}", "put `patches` before it")
        return (shape[0] + 1, shape[1])

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.attention import Prefixed

        return Prefixed(self.output_shape(shape)[1])

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        first = torch.ones(len(x), 1, 1, dtype=x.dtype) * parameters["weight"]
        return torch.cat([first, x], dim=1)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": g[:, 1:], "weight": g[:, :1].sum(dim=0)}
