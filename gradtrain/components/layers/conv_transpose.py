"""Transposed convolution over one or two axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import NonNegativeInt, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Axes, Margins, Windows, by, per_axis
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class ConvTranspose(Layer):
    """Paints one small pattern, scaled by the input, at every place of a larger output: a convolution's way back.

    With input positions p, offsets k inside the kernel and q = stride p + k - padding:

    value     y_o[q] = Σ_i,k,p with stride p + k - padding = q of x_i[p] weight_io[k] + bias_o
    gradient  dx_i[p] = Σ_o,k g_o[q] weight_io[k],  dweight_io[k] = Σ_p x_i[p] g_o[q],  dbias_o = Σ_q g_o[q]
    paper     Zeiler, Krishnan, Taylor & Fergus (2010), CVPR, Deconvolutional networks
    shape     [batch, channel, length] or [batch, channel, height, width]; weight [in, out/groups, *kernel]; an axis of
              n becomes stride (n - 1) + kernel - 2 padding + output_padding
    note      `padding` cuts the border of the output off, as in PyTorch: what a convolution with the same numbers
              would have added. `output_padding` makes one side longer where several sizes lead back to the same.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4, 4), (4, 3, 2))
    cases = [
        {"out": 3, "kernel": 3},
        {"out": 2, "kernel": 4, "stride": 2, "padding": 1, "bias": False},
        {"out": 6, "kernel": 3, "stride": 2, "output_padding": 1, "groups": 2},
        {"out": 2, "kernel": 1, "stride": 3, "output_padding": 2},
        {"out": 2, "kernel": (3, 2), "stride": (2, 1), "padding": (1, 0), "output_padding": (1, 0)},
    ]

    out: PositiveInt
    """Number of output channels."""
    kernel: PositiveInt | Axes
    """Size of the pattern, one number or one an axis, in elements."""
    stride: PositiveInt | Axes = 1
    """Distance between two patterns in the output, in elements."""
    padding: NonNegativeInt | Margins = 0
    """Elements cut off from both sides of the output."""
    output_padding: NonNegativeInt | Margins = 0
    """Elements added at the end of the output, fewer than the stride."""
    bias: bool = True
    """Add a learned number to every output channel."""
    groups: PositiveInt = 1
    """Channels are cut into this many groups that do not mix."""

    def output_shape(self, shape: Shape) -> Shape:
        return (self.out, *self._layout(shape)[1])

    def _layout(self, shape: Shape) -> tuple[Windows, tuple[int, ...]]:
        """The windows over the output from which a convolution would lead back, and the output's sizes."""
        name = self.name()
        kernel = per_axis(name, "kernel", self.kernel, shape)
        stride = per_axis(name, "stride", self.stride, shape)
        margin = per_axis(name, "padding", self.padding, shape)
        extra = per_axis(name, "output_padding", self.output_padding, shape)
        if any(e >= s for e, s in zip(extra, stride, strict=True)):
            raise Misfit(
                f"the output_padding {by(extra)} of `{name}` must be below its stride {by(stride)}",
                "leave it out, or write a number below the stride",
            )
        if shape[0] % self.groups or self.out % self.groups:
            raise Misfit(
                f"`{name}` cannot cut {shape[0]} input and {self.out} output channels into {self.groups} equal groups",
                "write a number of groups that divides both",
            )
        sizes = tuple(
            s * (n - 1) + k - 2 * p + e for n, k, s, p, e in zip(shape[1:], kernel, stride, margin, extra, strict=True)
        )
        if any(size < 1 for size in sizes):
            raise Misfit(
                f"the padding {by(margin)} of `{name}` cuts everything off: {list(shape)} would become "
                f"{[self.out, *sizes]}",
                "write a smaller padding or a larger kernel",
            )
        return Windows(kernel, stride, tuple((p, p) for p in margin), (1,) * len(kernel)), sizes

    def build(self, shape: Shape) -> nn.Module:
        windows, _ = self._layout(shape)
        cls: Any = nn.ConvTranspose1d if len(shape) == 2 else nn.ConvTranspose2d
        return cls(  # type: ignore[no-any-return]
            shape[0],
            self.out,
            windows.kernel,
            stride=windows.stride,
            padding=tuple(p for p, _ in windows.padding),
            output_padding=per_axis(self.name(), "output_padding", self.output_padding, shape),
            groups=self.groups,
            bias=self.bias,
        )

    def _grouped(self, weight: Tensor) -> Tensor:
        """[groups, in/groups, out/groups · kernel]."""
        return weight.reshape(self.groups, weight.shape[0] // self.groups, -1)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        windows, sizes = self._layout(tuple(x.shape[1:]))
        rows = x.reshape(len(x), self.groups, x.shape[1] // self.groups, -1)
        columns = torch.einsum("gik,bgip->bgkp", self._grouped(parameters["weight"]), rows)
        y = windows.back(columns.reshape(len(x), self.out, *windows.kernel, *x.shape[2:]), sizes)
        return y + parameters["bias"].reshape(-1, *[1] * (x.ndim - 2)) if self.bias else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        windows, _ = self._layout(tuple(x.shape[1:]))
        rank = x.ndim - 2
        rows = x.reshape(len(x), self.groups, x.shape[1] // self.groups, -1)
        seen = windows.of(g).permute(0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
        columns = seen.reshape(len(x), self.groups, -1, rows.shape[-1])
        dx = torch.einsum("gik,bgkp->bgip", self._grouped(parameters["weight"]), columns)
        dweight = torch.einsum("bgip,bgkp->gik", rows, columns)
        answer = {"x": dx.reshape(x.shape), "weight": dweight.reshape(parameters["weight"].shape)}
        return {**answer, "bias": g.sum(dim=[0, *range(2, g.ndim)])} if self.bias else answer
