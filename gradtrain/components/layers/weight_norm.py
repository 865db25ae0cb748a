"""Weight normalization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from gradtrain.components.layers import Layer, Layers, _reweighted
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class WeightNorm(Layer):
    """Learns the direction and the length of every output's weights apart, so that one does not disturb the other.

    For the layer in `of`, over the rows of its weight, one an output, with v̂ = direction / ‖direction‖:

    value     weight = magnitude v̂;  y = layer(x)
    gradient  dmagnitude = v̂ · dweight,  ddirection = magnitude / ‖direction‖ (dweight - v̂ (v̂ · dweight))
    paper     Salimans & Kingma (2016), NeurIPS, arXiv:1602.07868
    shape     as the layer; direction as its weight, magnitude [out]; its other parameters below `inner`
    note      The selector `weights` means the direction, whose length changes nothing: a penalty that is to make the
              weights small is written for `"*.magnitude"`. An initializer fills the direction; the magnitude follows.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (4, 5), (2, 5, 5))
    cases = [*_reweighted.CASES]

    of: Annotated[Layers, Field(min_length=1, max_length=1)]
    """The layer, a list of one: `[{linear: 64}]`."""

    def output_shape(self, shape: Shape) -> Shape:
        return _reweighted.output_shape("weight_norm", self.of, shape)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.reweighted import WeightNorm as Module

        return Module(*_reweighted.inner("weight_norm", self.of, shape))

    def _weight(self, parameters: Mapping[str, Tensor]) -> Tensor:
        v = _reweighted.rows(self.of, parameters["direction"])
        unit = v / (v**2).sum(dim=1, keepdim=True).sqrt()
        return _reweighted.back(self.of, parameters["magnitude"].unsqueeze(1) * unit, parameters["direction"])

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return _reweighted.textbook(self.of, x, self._weight(parameters), parameters)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        answer, slope = _reweighted.gradient(self.of, g, x, self._weight(parameters), parameters)
        direction, magnitude = parameters["direction"], parameters["magnitude"]
        v, dw = _reweighted.rows(self.of, direction), _reweighted.rows(self.of, slope)
        size = (v**2).sum(dim=1, keepdim=True).sqrt()
        unit = v / size
        along = (unit * dw).sum(dim=1)
        turned = magnitude.unsqueeze(1) / size * (dw - unit * along.unsqueeze(1))
        return {**answer, "magnitude": along, "direction": _reweighted.back(self.of, turned, direction)}
