"""The parameters of a normal distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Gaussian(Layer):
    """Two linear heads: where a hidden variable is thought to lie, and how unsure that is.

    value     y_0 = x mean.weightᵀ + mean.bias,  y_1 = x log_variance.weightᵀ + log_variance.bias
    gradient  of each head as in `linear`;  dx = g_0 mean.weight + g_1 log_variance.weight
    paper     Kingma & Welling (2014), ICLR, appendix C.2, arXiv:1312.6114
    shape     [batch, features] → [batch, 2, size]: mean and log-variance
    note      `reparameterize` draws from the distribution; the objective `vae` does so by itself.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,),)
    cases = [{"size": 3}]

    size: PositiveInt
    """Dimensions of the hidden variable."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise Misfit(f"`gaussian` takes [features], got {list(shape)}", "put `flatten` before it")
        return (2, self.size)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.attention import Gaussian as Module

        self.output_shape(shape)
        return Module(shape[0], self.size)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        heads = [
            (x.unsqueeze(1) * parameters[f"{name}.weight"]).sum(dim=-1) + parameters[f"{name}.bias"]
            for name in ("mean", "log_variance")
        ]
        return torch.stack(heads, dim=1)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        answer: dict[str, Tensor] = {"x": torch.zeros_like(x)}
        for row, name in enumerate(("mean", "log_variance")):
            part = g[:, row]
            answer["x"] = answer["x"] + part @ parameters[f"{name}.weight"]
            answer |= {f"{name}.weight": part.T @ x, f"{name}.bias": part.sum(dim=0)}
        return answer
