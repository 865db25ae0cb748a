"""A differential equation as a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PositiveFloat

from gradtrain.components.activations.tanh import Tanh
from gradtrain.components.layers import Layer, Layers, Placed, _chain
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.linear import Linear
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape

NODES = (0.0, 0.5, 0.5, 1.0)
"""Where in a step the four slopes are taken."""
WEIGHTS = (1 / 6, 1 / 3, 1 / 3, 1 / 6)
"""How much of each slope makes the step."""


class NeuralOde(Layer):
    """Lets the input flow for a while in a field that is learned: a residual network with infinitely many thin layers.

    h' = f(h) from h(0) = x, with f the layers and d = span / steps, by Kutta's classical method:

    value     k1 = f(h),  k2 = f(h + d/2 k1),  k3 = f(h + d/2 k2),  k4 = f(h + d k3),
              h ← h + d/6 (k1 + 2 k2 + 2 k3 + k4),  steps times;  y = h
    gradient  backwards through every step, with v_i = Jᵀ_f(k_i) dk_i:  dk4 = d/6 g,  dk3 = d/3 g + d v4,
              dk2 = d/3 g + d/2 v3,  dk1 = d/6 g + d/2 v2,  g ← g + v1 + v2 + v3 + v4
    paper     Chen, Rubanova, Bettencourt & Duvenaud (2018), NeurIPS, arXiv:1806.07366; the method: Kutta (1901)
    shape     the layers keep the shape
    note      The gradient is exact for the steps taken; the paper's adjoint equation is exact only for infinitely many.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4,), (3, 4))
    cases = [
        {"layers": (Placed(part=Linear(out=5)), Placed(part=Tanh()), Placed(part=Linear(out=4))), "steps": 2},
        {"layers": (Placed(part=Linear(out=4)), Placed(part=Tanh())), "steps": 3, "span": 0.5},
        {"layers": (Placed(part=Linear(out=4)), Placed(part=Dropout(p=0.2))), "steps": 1},
    ]
    random = True

    layers: Layers
    """The field f: layers that keep the shape."""
    steps: Annotated[int, Field(ge=1, le=1000)] = 8
    """Steps of the method; every one evaluates the layers four times."""
    span: PositiveFloat = 1.0
    """How long the input flows, in units of time."""

    def output_shape(self, shape: Shape) -> Shape:
        try:
            after = _chain.output_shape(self.layers, shape)
        except Misfit as misfit:
            misfit.path = ("layers", *misfit.path)
            raise
        if after != shape:
            raise Misfit(
                f"the layers of `neural_ode` turn {list(shape)} into {list(after)}: a slope has the shape of the state",
                "let its last layer give the shape that its first one reads",
            )
        return shape

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import NeuralOde as Module

        self.output_shape(shape)
        return Module(_chain.build(self.layers, shape), self.steps, self.span / self.steps)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return self._flow(x, parameters)[0]

    def _flow(self, x: Tensor, parameters: Mapping[str, Tensor]) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The end of the flow; and the points at which slopes were taken, each with torch's generator before it."""
        own, d = _chain.below(parameters, "layers"), self.span / self.steps
        points: list[tuple[Tensor, Tensor]] = []
        for _ in range(self.steps):
            slope, change = torch.zeros_like(x), torch.zeros_like(x)
            for node, weight in zip(NODES, WEIGHTS, strict=True):
                at = x + d * node * slope
                points.append((at, torch.get_rng_state()))
                slope = _chain.textbook(self.layers, at, own)
                change = change + weight * slope
            x = x + d * change
        return x, points

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        own, d = _chain.below(parameters, "layers"), self.span / self.steps
        points = self._flow(x, parameters)[1]
        after = torch.get_rng_state()
        result: dict[str, Tensor] = {}
        for _ in range(self.steps):
            back, reach, later = torch.zeros_like(g), 0.0, g
            for node, weight in zip(reversed(NODES), reversed(WEIGHTS), strict=True):
                at, state = points.pop()
                torch.set_rng_state(state)
                answer = _chain.gradient(self.layers, d * weight * g + reach * back, at, own)
                back, reach = answer["x"], d * node
                later = later + back
                for name, value in answer.items():
                    if name != "x":
                        key = f"layers.{name}"
                        result[key] = result[key] + value if key in result else value
            g = later
        torch.set_rng_state(after)
        return {"x": g, **result}
