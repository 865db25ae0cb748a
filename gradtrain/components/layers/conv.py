"""Convolution over one or two axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._windows import Axes, padded, per_axis, placed, window_count, windows
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
        {"out": 3, "kernel": 3}, {"out": 2, "kernel": 2, "stride": 2, "bias": False}, {"out": 6, "kernel": 3, "padding": 1, "groups": 2},
        {"out": 2, "kernel": 2, "dilation": 2, "padding": 1}, {"out": 2, "kernel": 3, "padding": "same"}, {"out": 2, "kernel": (3, 2), "stride": (2, 1)},
    ]  # fmt: skip

    out: PositiveInt
    """Number of output channels."""
    kernel: PositiveInt | Axes
    """Size of the window, one number or one an axis, in elements."""
    stride: PositiveInt | Axes = 1
    """Distance between two windows, in elements."""
    padding: NonNegativeInt | tuple[NonNegativeInt, ...] | Literal["same"] = 0
    """Zeros put around the input on both sides; `same` keeps the size (stride 1)."""
    dilation: PositiveInt | Axes = 1
    """Distance between the elements of a window."""
    groups: PositiveInt = 1
    """Channels are cut into this many groups that do not mix."""
    bias: bool = True
    """Add a learned number to every output channel."""

    def output_shape(self, shape: Shape) -> Shape:
        rank = len(shape) - 1
        if rank not in (1, 2):
            hint = "it stands after `flatten`, or the data has no channels" if rank == 0 else ""
            raise Misfit(f"`conv` takes [channels, height, width] or [channels, length], got {list(shape)}", hint)
        if shape[0] % self.groups or self.out % self.groups:
            raise Misfit(
                f"`conv` cannot cut {shape[0]} input and {self.out} output channels into {self.groups} equal groups"
            )
        if self.padding == "same" and any(s != 1 for s in per_axis(self.stride, rank, "stride")):
            raise Misfit(
                "`padding: same` keeps the size, which a stride above 1 cannot",
                "write the padding as a number",
            )
        kernel, stride, padding, dilation = self._geometry(rank)
        sizes = tuple(
            window_count(n, k, s, sum(p), d)
            for n, k, s, p, d in zip(shape[1:], kernel, stride, padding, dilation, strict=True)
        )
        if any(size < 1 for size in sizes):
            raise Misfit(
                f"`conv` with kernel {_by(kernel)} does not fit an input of {_by(shape[1:])} (shape {list(shape)})",
                "use a smaller kernel, more padding, or pool less before it",
            )
        return (self.out, *sizes)

    def _geometry(
        self, rank: int
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...], tuple[int, ...]]:
        """(kernel, stride, (before, after) padding, dilation) of every axis."""
        kernel, stride, dilation = (
            per_axis(v, rank, n)
            for v, n in ((self.kernel, "kernel"), (self.stride, "stride"), (self.dilation, "dilation"))
        )
        if self.padding == "same":
            whole = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
            return kernel, stride, tuple((w // 2, w - w // 2) for w in whole), dilation
        return kernel, stride, tuple((p, p) for p in per_axis(self.padding, rank, "padding")), dilation

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        kernel, stride, padding, dilation = self._geometry(len(shape) - 1)
        cls: Any = nn.Conv1d if len(shape) == 2 else nn.Conv2d
        pad: Any = "same" if self.padding == "same" else tuple(before for before, _ in padding)
        return cls(
            shape[0],
            self.out,
            kernel,
            stride=stride,
            padding=pad,
            dilation=dilation,
            groups=self.groups,
            bias=self.bias,
        )  # type: ignore[no-any-return]

    def _columns(self, x: Tensor) -> Tensor:
        """Every window of the padded input: [batch, groups, in/groups · kernel, position]."""
        kernel, stride, padding, dilation = self._geometry(x.ndim - 2)
        seen = windows(padded(x, padding), kernel, stride, dilation)
        rank = x.ndim - 2
        split = seen.reshape(len(x), self.groups, x.shape[1] // self.groups, *seen.shape[2:])
        ordered = split.permute(0, 1, 2, *range(3 + rank, 3 + 2 * rank), *range(3, 3 + rank))
        return ordered.reshape(len(x), self.groups, -1, split.shape[3 : 3 + rank].numel())

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        weight = parameters["weight"].reshape(self.groups, self.out // self.groups, -1)
        y = torch.einsum("gok,bgkp->bgop", weight, self._columns(x)).reshape(
            len(x), *self.output_shape(tuple(x.shape[1:]))
        )
        return y + parameters["bias"].reshape(-1, *[1] * (x.ndim - 2)) if self.bias else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        kernel, stride, padding, dilation = self._geometry(x.ndim - 2)
        weight = parameters["weight"].reshape(self.groups, self.out // self.groups, -1)
        flat = g.reshape(len(x), self.groups, self.out // self.groups, -1)
        columns = torch.einsum("gok,bgop->bgkp", weight, flat).reshape(len(x), x.shape[1], *kernel, *g.shape[2:])
        dx = placed(columns, tuple(x.shape[2:]), kernel, stride, padding, dilation)
        dweight = torch.einsum("bgop,bgkp->gok", flat, self._columns(x)).reshape(parameters["weight"].shape)
        answer = {"x": dx, "weight": dweight}
        return {**answer, "bias": g.sum(dim=[0, *range(2, g.ndim)])} if self.bias else answer


def _by(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
