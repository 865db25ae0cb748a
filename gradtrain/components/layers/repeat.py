"""Repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from gradtrain.components.layers import Layer, Layers, Placed, _chain
from gradtrain.components.layers.linear import Linear
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Repeat(Layer):
    """The same list of layers several times, each time with weights of its own.

    value     y = layers_times(… layers_2(layers_1(x)))
    gradient  dx = Jᵀ_1 Jᵀ_2 … Jᵀ_times g
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,),)
    cases = [{"times": 2, "layers": (Placed(part=Linear(out=3)), Placed(part=Linear(out=4)))}]

    times: Annotated[int, Field(ge=1, le=1000)]
    """How often."""
    layers: Layers
    """What is repeated."""

    def _shapes(self, shape: Shape) -> list[Shape]:
        shapes = [shape]
        for _ in range(self.times):
            try:
                shapes.append(_chain.output_shape(self.layers, shapes[-1]))
            except Misfit as misfit:
                misfit.path = ("layers", *misfit.path)
                raise
        return shapes

    def output_shape(self, shape: Shape) -> Shape:
        return self._shapes(shape)[-1]

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Sequence

        shapes = self._shapes(shape)
        return Sequence({str(i): _chain.build(self.layers, shapes[i]) for i in range(self.times)})

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        for i in range(self.times):
            x = _chain.textbook(self.layers, x, _chain.below(parameters, str(i)))
        return x

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        values, states = [x], [torch.get_rng_state()]
        for i in range(self.times):
            values.append(_chain.textbook(self.layers, values[-1], _chain.below(parameters, str(i))))
            states.append(torch.get_rng_state())
        result: dict[str, Tensor] = {}
        for i in reversed(range(self.times)):
            torch.set_rng_state(states[i])
            answer = _chain.gradient(self.layers, g, values[i], _chain.below(parameters, str(i)))
            g = answer["x"]
            result |= {f"{i}.{key}": value for key, value in answer.items() if key != "x"}
        torch.set_rng_state(states[-1])
        return {"x": g, **result}
