"""Convolution in two steps: every channel by itself, then the channels with one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt

from gradtrain.components.layers import Layer, Layers, Placed, _chain
from gradtrain.components.layers._windows import Axes, Margins, per_axis
from gradtrain.components.layers.conv import Conv
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class SeparableConv(Layer):
    """Looks at every channel by itself, then mixes the channels place by place: a convolution with far fewer weights.

    value     y_o[p] = Σ_i pointwise.weight_oi h_i[p] + pointwise.bias_o,
              h_i[p] = Σ_k depthwise.weight_i[k] x_i[stride p + k]
    gradient  of both convolutions as in `conv`, the second one first
    paper     Chollet (2017), CVPR, Xception, arXiv:1610.02357
    shape     [batch, channel, length] or [batch, channel, height, width]; depthwise.weight [in, 1, *kernel],
              pointwise.weight [out, in, 1, …]
    note      One bias, after both steps, as in Keras' SeparableConv2D, and nothing between them.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4, 7), (3, 6, 5))
    cases = [
        {"out": 3, "kernel": 3},
        {"out": 2, "kernel": 2, "stride": 2, "padding": 1, "bias": False},
        {"out": 2, "kernel": 3, "padding": "same"},
    ]

    out: PositiveInt
    """Number of output channels."""
    kernel: PositiveInt | Axes
    """Size of the window, one number or one an axis, in elements."""
    stride: PositiveInt | Axes = 1
    """Distance between two windows, in elements."""
    padding: NonNegativeInt | Margins | Literal["same"] = 0
    """Zeros put around the input on both sides; `same` keeps the size (stride 1)."""
    bias: bool = True
    """Add a learned number to every output channel."""

    def _steps(self, shape: Shape) -> Layers:
        """Both convolutions as a list of layers."""
        kernel = per_axis(self.name(), "kernel", self.kernel, shape)
        depthwise = Conv(
            out=shape[0], kernel=kernel, stride=self.stride, padding=self.padding, groups=shape[0], bias=False
        )
        return (
            Placed(part=depthwise, name="depthwise"),
            Placed(part=Conv(out=self.out, kernel=1, bias=self.bias), name="pointwise"),
        )

    def output_shape(self, shape: Shape) -> Shape:
        return _chain.output_shape(self._steps(shape), shape)

    def build(self, shape: Shape) -> nn.Module:
        return _chain.build(self._steps(shape), shape)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return _chain.textbook(self._steps(tuple(x.shape[1:])), x, parameters)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return _chain.gradient(self._steps(tuple(x.shape[1:])), g, x, parameters)
