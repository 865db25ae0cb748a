"""Convolution over one or two axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Axes, Margins, Windows, by, per_axis
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Conv(Layer):
    """Slides one small set of weights over the input: the same feature is looked for everywhere.

    With the padded input, window positions p and offsets k inside the kernel:

    value     y_o[p] = Σ_i,k weight_oi[k] x_i[stride p + dilation k] + bias_o
    gradient  dweight_oi[k] = Σ_p g_o[p] x_i[stride p + dilation k],  dbias_o = Σ_p g_o[p],
              dx_i[q] = Σ_o,k,p with stride p + dilation k = q of g_o[p] weight_oi[k]
    paper     LeCun et al. (1989), Neural Computation 1(4):541-551, doi:10.1162/neco.1989.1.4.541
    shape     [batch, channel, length] or [batch, channel, height, width]; weight [out, in/groups, *kernel]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4, 7), (4, 6, 5))
    cases = [
        {"out": 3, "kernel": 3},
        {"out": 2, "kernel": 2, "stride": 2, "bias": False},
        {"out": 6, "kernel": 3, "padding": 1, "groups": 2},
        {"out": 2, "kernel": 2, "dilation": 2, "padding": 1},
        {"out": 2, "kernel": 3, "padding": "same"},
        {"out": 2, "kernel": (3, 2), "stride": (2, 1), "padding": (0, 1)},
    ]

    out: PositiveInt
    """Number of output channels."""
    kernel: PositiveInt | Axes
    """Size of the window, one number or one an axis, in elements."""
    stride: PositiveInt | Axes = 1
    """Distance between two windows, in elements."""
    padding: NonNegativeInt | Margins | Literal["same"] = 0
    """Zeros put around the input on both sides; `same` keeps the size (stride 1)."""
    dilation: PositiveInt | Axes = 1
    """Distance between the elements of a window."""
    groups: PositiveInt = 1
    """Channels are cut into this many groups that do not mix."""
    bias: bool = True
    """Add a learned number to every output channel."""

    def output_shape(self, shape: Shape) -> Shape:
        windows = self._windows(shape)
        if shape[0] % self.groups or self.out % self.groups:
            raise Misfit(
                f"`conv` cannot cut {shape[0]} input and {self.out} output channels into {self.groups} equal groups",
                "write a number of groups that divides both",
            )
        return windows.output_shape("conv", shape, self.out)

    def _windows(self, shape: Shape) -> Windows:
        kernel = per_axis("conv", "kernel", self.kernel, shape)
        stride = per_axis("conv", "stride", self.stride, shape)
        dilation = per_axis("conv", "dilation", self.dilation, shape)
        if self.padding != "same":
            margin = per_axis("conv", "padding", self.padding, shape)
            return Windows(kernel, stride, tuple((p, p) for p in margin), dilation)
        if any(step > 1 for step in stride):
            raise Misfit(
                f"`padding: same` keeps the size, the stride {by(stride)} of `conv` does not",
                "write the padding as a number",
            )
        both = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return Windows(kernel, stride, tuple((b // 2, b - b // 2) for b in both), dilation)

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        windows = self._windows(shape)
        cls: Any = nn.Conv1d if len(shape) == 2 else nn.Conv2d
        return cls(  # type: ignore[no-any-return]
            shape[0],
            self.out,
            windows.kernel,
            stride=windows.stride,
            padding="same" if self.padding == "same" else tuple(p for p, _ in windows.padding),
            dilation=windows.dilation,
            groups=self.groups,
            bias=self.bias,
        )

    def _columns(self, x: Tensor) -> Tensor:
        """[batch, groups, in/groups · kernel, position]: every window of the padded input."""
        rank = x.ndim - 2
        seen = self._windows(tuple(x.shape[1:])).of(x)
        ordered = seen.permute(0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
        return ordered.reshape(len(x), self.groups, -1, seen.shape[2 : 2 + rank].numel())

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        weight = parameters["weight"].reshape(self.groups, self.out // self.groups, -1)
        y = torch.einsum("gok,bgkp->bgop", weight, self._columns(x))
        y = y.reshape(len(x), *self.output_shape(tuple(x.shape[1:])))
        return y + parameters["bias"].reshape(-1, *[1] * (x.ndim - 2)) if self.bias else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        windows = self._windows(tuple(x.shape[1:]))
        weight = parameters["weight"].reshape(self.groups, self.out // self.groups, -1)
        rows = g.reshape(len(x), self.groups, self.out // self.groups, -1)
        columns = torch.einsum("gok,bgop->bgkp", weight, rows)
        columns = columns.reshape(len(x), x.shape[1], *windows.kernel, *g.shape[2:])
        dweight = torch.einsum("bgop,bgkp->gok", rows, self._columns(x)).reshape(parameters["weight"].shape)
        answer = {"x": windows.back(columns, x.shape[2:]), "weight": dweight}
        return {**answer, "bias": g.sum(dim=[0, *range(2, g.ndim)])} if self.bias else answer
