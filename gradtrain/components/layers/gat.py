"""Graph attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._graph import edges, features, neighbourhoods
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Gat(Layer):
    """Every node of a graph weighs its neighbours and itself, and hears the average of what they have to say.

    For every head, with h = x weightᵀ, over the neighbours j of a node i, itself among them:

    value     y_i = Σ_j α_ij h_j,  α_i = softmax over j of e_ij,  e_ij = leaky_relu(s_ij),
              s_ij = reads · h_i + read · h_j;  the heads side by side or averaged, + bias
    gradient  dα_ij = g_i · h_j,  de_ij = α_ij (dα_ij - Σ_k α_ik dα_ik),  ds_ij = de_ij  where s_ij > 0,  else
              slope de_ij,  dreads = Σ ds_ij h_i,  dread = Σ ds_ij h_j,
              dh_i = reads Σ_j ds_ij + Σ_j (α_ji g_j + ds_ji read),  dweight = dhᵀ x,  dx = dh weight,  dbias = Σ g
    paper     Veličković et al. (2018), ICLR, arXiv:1710.10903
    shape     [nodes, features] → [nodes, heads · out] or, averaged, [nodes, out]; weight [heads · out, features], reads
              and read [heads, out], the two halves of the paper's a
    note      Dropout is on α. The graph is no parameter: the objective `node_classification` binds that of the data.
              Unbound, the nodes form a ring in the order of the batch. It starts with Glorot's uniform weights.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (1,))
    cases = [
        {"out": 3},
        {"out": 2, "heads": 3},
        {"out": 2, "heads": 2, "merge": "mean", "slope": 0.5, "bias": False},
        {"out": 2, "heads": 2, "dropout": 0.4},
    ]
    random = True

    out: PositiveInt
    """Numbers that a head gives every node."""
    heads: PositiveInt = 1
    """Attentions side by side."""
    merge: Literal["concat", "mean"] = "concat"
    """The heads' outputs side by side, as between layers, or averaged, as at the end."""
    slope: Annotated[float, Field(ge=0)] = 0.2
    """Slope of the leaky_relu for negative scores."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a neighbour is not heard while training."""
    bias: bool = True
    """Add a learned number to every output."""

    def output_shape(self, shape: Shape) -> Shape:
        features(self.name(), shape)
        return (self.heads * self.out if self.merge == "concat" else self.out,)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.graphs import Gat as Module

        return Module(
            features(self.name(), shape), self.out, self.heads, concat=self.merge == "concat", slope=self.slope,
            dropout=self.dropout, bias=self.bias,
        )  # fmt: skip

    def _mask(self, x: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """[edges, heads]: 0 or 1 / (1 - dropout)."""
        ones = torch.ones(edges(x, parameters).shape[1], self.heads, dtype=x.dtype)
        return torch.empty_like(ones).bernoulli_(1 - self.dropout) / (1 - self.dropout) if self.dropout else ones

    def _scores(self, h: Tensor, i: int, others: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """[neighbours of i, heads]: s_ij."""
        return (h[i] * parameters["reads"] + h[others] * parameters["read"]).sum(dim=-1)

    def _shares(self, s: Tensor) -> Tensor:
        e = torch.where(s > 0, s, self.slope * s)
        power = (e - e.max(dim=0).values).exp()
        return power / power.sum(dim=0)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        h = (x @ parameters["weight"].T).reshape(len(x), self.heads, self.out)
        mask = self._mask(x, parameters)
        rows = []
        for i, places, others in neighbourhoods(x, parameters):
            share = self._shares(self._scores(h, i, others, parameters)) * mask[places]
            rows.append((share.unsqueeze(-1) * h[others]).sum(dim=0))
        y = torch.stack(rows)
        y = y.reshape(len(x), -1) if self.merge == "concat" else y.sum(dim=1) / self.heads
        return y + parameters["bias"] if self.bias else y

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        h = (x @ parameters["weight"].T).reshape(len(x), self.heads, self.out)
        mask = self._mask(x, parameters)
        reads, read = parameters["reads"], parameters["read"]
        heads = g.reshape(h.shape) if self.merge == "concat" else (g / self.heads).unsqueeze(1).expand(h.shape)
        dh, dreads, dread = torch.zeros_like(h), torch.zeros_like(reads), torch.zeros_like(read)
        for i, places, others in neighbourhoods(x, parameters):
            s = self._scores(h, i, others, parameters)
            share = self._shares(s)
            dshare = (heads[i] * h[others]).sum(dim=-1) * mask[places]
            de = share * (dshare - (share * dshare).sum(dim=0))
            ds = torch.where(s > 0, de, self.slope * de).unsqueeze(-1)
            dh[i] += ds.sum(dim=0) * reads
            dh[others] += (share * mask[places]).unsqueeze(-1) * heads[i] + ds * read
            dreads += ds.sum(dim=0) * h[i]
            dread += (ds * h[others]).sum(dim=0)
        flat = dh.flatten(1)
        answer = {"x": flat @ parameters["weight"], "weight": flat.T @ x, "reads": dreads, "read": dread}
        return {**answer, "bias": g.sum(dim=0)} if self.bias else answer

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        h = (x @ parameters["weight"].T).reshape(len(x), self.heads, self.out)
        return torch.cat([self._scores(h, i, others, parameters) for i, _, others in neighbourhoods(x, parameters)])
