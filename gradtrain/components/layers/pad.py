"""A border around an image or a signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import NonNegativeInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Margins, by, per_axis
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Pad(Layer):
    """Puts a border on all sides: zeros, or the image as a mirror at its edge shows it.

    value     y[size + i] = x[i] inside;  outside 0, or x[mirror(i)] with mirror(-i) = i, mirror(n - 1 + i) = n - 1 - i
    gradient  dx[i] = Σ of g at all places that show x[i]
    paper     PyTorch documentation, nn.ZeroPad2d and nn.ReflectionPad2d
    shape     [batch, channel, length] or [batch, channel, height, width] → 2 size longer
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((2, 5), (2, 3, 4))
    cases = [{"size": 2}, {"size": 2, "mode": "reflect"}, {"size": 0}]

    size: NonNegativeInt | Margins
    """Width of the border, one number or one an axis, in elements."""
    mode: Literal["zeros", "reflect"] = "zeros"
    """What the border shows."""

    def _margins(self, shape: Shape) -> tuple[int, ...]:
        margins = per_axis(self.name(), "size", self.size, shape)
        if self.mode == "reflect" and any(margin >= n for margin, n in zip(margins, shape[1:], strict=True)):
            raise Misfit(
                f"`pad` cannot mirror a border of {by(margins)} from an input of {list(shape)}: it is too short",
                "write a border narrower than the input, or `mode: zeros`",
            )
        return margins

    def output_shape(self, shape: Shape) -> Shape:
        return (shape[0], *(n + 2 * margin for n, margin in zip(shape[1:], self._margins(shape), strict=True)))

    def build(self, shape: Shape) -> nn.Module:
        both = tuple(margin for margin in reversed(self._margins(shape)) for _ in range(2))
        signal = len(shape) == 2
        zeros: Any = nn.ZeroPad1d if signal else nn.ZeroPad2d
        mirror: Any = nn.ReflectionPad1d if signal else nn.ReflectionPad2d
        return (zeros if self.mode == "zeros" else mirror)(both)  # type: ignore[no-any-return]

    def _shown(self, n: int, margin: int) -> Tensor:
        """[n + 2 margin, n]: 1 where an element of the output shows one of the input along an axis."""
        place = torch.arange(-margin, n + margin)
        if self.mode == "reflect":
            place = place.abs()
            place = torch.where(place < n, place, 2 * (n - 1) - place)
        return (place[:, None] == torch.arange(n)).double()

    def _matrices(self, x: Tensor) -> list[Tensor]:
        margins = self._margins(tuple(x.shape[1:]))
        return [self._shown(n, margin).to(x.dtype) for n, margin in zip(x.shape[2:], margins, strict=True)]

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        for axis, shown in enumerate(self._matrices(x), start=2):
            x = torch.tensordot(x, shown, dims=([axis], [1])).movedim(-1, axis)
        return x

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        for axis, shown in enumerate(self._matrices(x), start=2):
            g = torch.tensordot(g, shown.to(g.dtype), dims=([axis], [0])).movedim(-1, axis)
        return {"x": g}
