"""Modules that read a graph. Imported where one is built, never before: this file imports torch.

A graph is int64 [2, edges]: row 0 the node that reads, row 1 the node that is read, sorted, every node among its own
neighbours. Everything is computed edge by edge: no matrix of nodes by nodes.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from gradtrain.problems import Problem


def neighbours(edges: Tensor, nodes: int) -> Tensor:
    """The graph of `edges` [2, any], read in both directions, each once, and every node its own neighbour."""
    own = torch.arange(nodes, device=edges.device)
    both = torch.cat([edges, edges.flip(0), torch.stack([own, own])], dim=1)
    number = torch.unique(both[0] * nodes + both[1])  # sorted, each once
    return torch.stack([number // nodes, number % nodes])


def ring(nodes: int, device: torch.device) -> Tensor:
    """The graph in which every node has the one before and the one after it as neighbours."""
    own = torch.arange(nodes, device=device)
    return neighbours(torch.stack([own, (own + 1) % nodes]), nodes)


def degrees(graph: Tensor, nodes: int) -> Tensor:
    """[nodes]: how many neighbours each has, itself among them."""
    return torch.bincount(graph[0], minlength=nodes)


class OnGraph(nn.Module):
    """A module whose batch is the nodes of one graph: [nodes, features] → [nodes, out]."""

    graph: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("graph", None, persistent=False)
        self.nodes = 0

    def bind(self, edges: Tensor, nodes: int) -> None:
        """Read this graph from now on: undirected edges [2, any] between so many nodes."""
        device = next(self.parameters()).device
        self.graph, self.nodes = neighbours(edges.to(device), nodes), nodes

    def seen(self, x: Tensor) -> Tensor:
        """The bound graph; a ring where none is bound. Raises `Problem` where the batch is not all its nodes."""
        if self.graph is None:
            return ring(len(x), x.device)
        if len(x) != self.nodes:
            raise Problem(
                "not-the-graph",
                f"a batch has {len(x):,} nodes, the graph {self.nodes:,}",
                why="a node is read together with its neighbours: every batch is the whole graph",
                help="write `batch_size: full` under `data:`",
            )
        return self.graph


class Gcn(OnGraph):
    """Graph convolution: a linear map, then a weighted sum over neighbours."""

    shares: Tensor | None

    def __init__(self, features: int, out: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(out, features)))
        self.bias = nn.Parameter(torch.zeros(out)) if bias else None
        self.register_buffer("shares", None, persistent=False)

    def bind(self, edges: Tensor, nodes: int) -> None:
        super().bind(edges, nodes)
        if self.graph is not None:
            self.shares = self._normalized(self.graph, nodes).to(self.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        graph = self.seen(x)
        shares = self._normalized(graph, len(x)) if self.shares is None else self.shares
        h = F.linear(x, self.weight)  # first: it makes the rows shorter that are summed below
        y = torch.zeros_like(h).index_add(0, graph[0], h.index_select(0, graph[1]) * shares.to(h.dtype).unsqueeze(1))
        return y if self.bias is None else y + self.bias

    def _normalized(self, graph: Tensor, nodes: int) -> Tensor:
        """[edges]: 1 / √(neighbours of one end · neighbours of the other)."""
        size = degrees(graph, nodes).double().rsqrt()
        return size[graph[0]] * size[graph[1]]


class Gat(OnGraph):
    """Graph attention: a linear map, then an average over neighbours that the network weighs."""

    def __init__(
        self, features: int, out: int, heads: int, *, concat: bool, slope: float, dropout: float, bias: bool
    ) -> None:
        super().__init__()
        self.heads, self.concat, self.slope, self.dropout = heads, concat, slope, dropout
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads * out, features)))
        self.reads = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, out)))
        self.read = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, out)))
        self.bias = nn.Parameter(torch.zeros(heads * out if concat else out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        reading, other = self.seen(x)
        h = F.linear(x, self.weight).reshape(len(x), self.heads, -1)
        score = (h * self.reads).sum(dim=-1).index_select(0, reading) + (h * self.read).sum(dim=-1).index_select(
            0, other
        )
        share = F.dropout(self._softmax(F.leaky_relu(score, self.slope), reading, len(x)), self.dropout, self.training)
        heard = h.index_select(0, other) * share.unsqueeze(-1)
        y = torch.zeros_like(h).index_add(0, reading, heard)
        y = y.flatten(1) if self.concat else y.mean(dim=1)
        return y if self.bias is None else y + self.bias

    def _softmax(self, score: Tensor, reading: Tensor, nodes: int) -> Tensor:
        """Over the neighbours of every node, of [edges, heads]; the largest score is taken off against overflow."""
        top = torch.full((nodes, self.heads), -torch.inf, dtype=score.dtype, device=score.device)
        top = top.scatter_reduce(0, reading.unsqueeze(1).expand_as(score), score.detach(), "amax")
        power = (score - top.index_select(0, reading)).exp()
        total = torch.zeros_like(top).index_add(0, reading, power)
        return power / total.index_select(0, reading)
