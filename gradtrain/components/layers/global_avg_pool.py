"""Pooling by the mean over the whole image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape


class GlobalAvgPool(Layer):
    """One number a channel: its mean over all positions.

    value     y_c = mean over p of x_c[p]
    gradient  dx_c[p] = g_c / (number of positions)
    paper     Lin, Chen & Yan (2014), ICLR, Network in network, arXiv:1312.4400
    shape     [batch, channel, ...] → [batch, channel]
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((3, 7), (2, 6, 5))

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) < 2:
            raise Misfit(
                f"`global_avg_pool` takes [channels, height, width] or [channels, length], got {list(shape)}",
                "leave it out: there are no positions to average over",
            )
        return shape[:1]

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import GlobalAvgPool as Module

        self.output_shape(shape)
        return Module()

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x.flatten(2).sum(dim=2) / x[0, 0].numel()

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": (g / x[0, 0].numel()).reshape(*g.shape, *[1] * (x.ndim - 2)).expand(x.shape)}
