"""Graph convolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._graph import features, normalized
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class Gcn(Layer):
    """Every node of a graph hears a weighted sum of what its neighbours and itself have to say.

    With A the graph's adjacency, I the identity, and D the diagonal of the row sums of A + I:

    value     y = Â x weightᵀ + bias,  Â = D^-1/2 (A + I) D^-1/2:  Â_ij = 1 / √(d_i d_j) for neighbours i, j
    gradient  with h = Âᵀ g:  dx = h weight,  dweight = hᵀ x,  dbias = Σ g
    paper     Kipf & Welling (2017), ICLR, arXiv:1609.02907
    shape     [nodes, features] → [nodes, out]: the batch is the nodes of one graph; weight [out, features]
    note      The graph is no parameter: the objective `node_classification` binds that of the data. Unbound, the nodes
              form a ring in the order of the batch. It starts with Glorot's uniform weights and a bias of 0, as the
              paper's code does.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (1,))
    cases = [{"out": 3}, {"out": 2, "bias": False}]

    out: PositiveInt
    """Numbers that every node ends up with."""
    bias: bool = True
    """Add a learned number to every output."""

    def output_shape(self, shape: Shape) -> Shape:
        features(self.name(), shape)
        return (self.out,)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.graphs import Gcn as Module

        return Module(features(self.name(), shape), self.out, self.bias)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        y = (normalized(x, parameters) @ x) @ parameters["weight"].T
        return y + parameters["bias"] if self.bias else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        h = normalized(x, parameters).T @ g
        answer = {"x": h @ parameters["weight"], "weight": h.T @ x}
        return {**answer, "bias": g.sum(dim=0)} if self.bias else answer
