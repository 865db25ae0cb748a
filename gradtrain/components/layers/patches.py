"""An image as a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Patches(Layer):
    """Cuts an image into squares and turns every one into a vector: the words of a vision transformer.

    With the squares in reading order, t = row · (squares in a row) + column, and offsets k inside a square:

    value     y_t = Σ_i,k weight_i[k] x_i[size (row, column) + k] + bias
    gradient  dweight_i[k] = Σ_t gᵀ_t x_i[size (row, column) + k],  dbias = Σ_t g_t,
              dx_i[size (row, column) + k] = g_t weight_i[k]
    paper     Dosovitskiy et al. (2021), ICLR, section 3.1, arXiv:2010.11929
    shape     [batch, channel, height, width] → [batch, time, width]; weight [width, channel, size, size]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((2, 4, 6), (1, 2, 2))
    cases = [{"size": 2, "width": 3}, {"size": 1, "width": 2}]

    size: PositiveInt
    """Side of a square, in pixels; the image's sides are multiples of it."""
    width: PositiveInt
    """Numbers that stand for one square."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise Misfit(f"`patches` takes [channels, height, width], got {list(shape)}")
        if shape[1] % self.size or shape[2] % self.size:
            raise Misfit(
                f"`patches` cannot cut {list(shape)} into squares of {self.size}x{self.size} pixels without a rest",
                "write a size that divides height and width",
            )
        return (shape[1] // self.size * (shape[2] // self.size), self.width)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Patches as Module

        self.output_shape(shape)
        return Module(shape[0], self.width, self.size)

    def _squares(self, x: Tensor) -> Tensor:
        """[batch, time, channel · size · size]."""
        s = self.size
        rows = [torch.split(row, s, dim=3) for row in torch.split(x, s, dim=2)]
        return torch.stack([square.flatten(1) for row in rows for square in row], dim=1)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return self._squares(x) @ parameters["weight"].flatten(1).T + parameters["bias"]

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        weight, s = parameters["weight"], self.size
        squares = (g @ weight.flatten(1)).reshape(*g.shape[:2], *weight.shape[1:])
        dx = g.new_zeros(x.shape)
        across = x.shape[3] // s
        for t, square in enumerate(squares.unbind(1)):
            row, column = divmod(t, across)
            dx[:, :, row * s : (row + 1) * s, column * s : (column + 1) * s] = square
        dweight = torch.einsum("bto,btk->ok", g, self._squares(x)).reshape(weight.shape)
        return {"x": dx, "weight": dweight, "bias": g.sum(dim=(0, 1))}
