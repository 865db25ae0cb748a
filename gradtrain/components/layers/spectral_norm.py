"""Spectral normalization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from gradtrain.components.layers import Layer, Layers, _reweighted
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class SpectralNorm(Layer):
    """Divides a layer's weight by how much it can stretch its input, so that it stretches nothing: for critics.

    For the layer in `of`, W its weight as a matrix, one row an output, and u kept from step to step, `iterations` times
    v = Wᵀ u / ‖Wᵀ u‖, u = W v / ‖W v‖, in training only; then σ = uᵀ W v:

    value     y = layer(x) with the weight W / σ
    gradient  dW = (dweight - (Σ dweight W / σ) u vᵀ) / σ;  u and v are constants
    paper     Miyato, Kataoka, Koyama & Yoshida (2018), ICLR, algorithm 1, arXiv:1802.05957
    shape     as the layer; weight as its weight; u [out] and v [everything else] are kept beside it; its other
              parameters below `inner`
    note      Of a convolution σ is taken from the weight as a matrix, as in the paper, not from the map of images.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (4, 5), (2, 5, 5))
    surrogate: ClassVar[str] = "the same with u and v constant"
    cases = [*_reweighted.CASES, {**_reweighted.CASES[0], "iterations": 3}]

    of: Annotated[Layers, Field(min_length=1, max_length=1)]
    """The layer, a list of one: `[{linear: 64}]`."""
    iterations: PositiveInt = 1
    """Steps of the power iteration in a forward pass."""

    def output_shape(self, shape: Shape) -> Shape:
        return _reweighted.output_shape("spectral_norm", self.of, shape)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.reweighted import SpectralNorm as Module

        return Module(*_reweighted.inner("spectral_norm", self.of, shape), self.iterations)

    def _stretch(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(σ, u, v) of algorithm 1."""
        matrix, u = _reweighted.rows(self.of, parameters["weight"]), parameters["u"]
        w = matrix.detach()
        for _ in range(self.iterations):
            v = w.T @ u
            v = v / (v**2).sum().sqrt()
            u = w @ v
            u = u / (u**2).sum().sqrt()
        return (u.unsqueeze(1) * matrix * v).sum(), u, v

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return _reweighted.textbook(self.of, x, parameters["weight"] / self._stretch(parameters)[0], parameters)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        weight = parameters["weight"]
        s, u, v = self._stretch(parameters)
        answer, slope = _reweighted.gradient(self.of, g, x, weight / s, parameters)
        pull = (slope * weight).sum() / s
        turned = (_reweighted.rows(self.of, slope) - pull * u.unsqueeze(1) * v) / s
        return {**answer, "weight": _reweighted.back(self.of, turned, weight)}
