"""Graphs in plain tensor algebra: who is whose neighbour, as a list and as a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Misfit, Shape


def edges(x: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """[2, edges]: the bound graph; else a ring of as many nodes as `x` has, each its own neighbour."""
    if "graph" in parameters:
        return parameters["graph"]
    n = len(x)
    pairs = {(i, (i + step) % n) for i in range(n) for step in (-1, 0, 1)}
    return torch.tensor(sorted(pairs)).T


def normalized(x: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Â = D^-1/2 (A + I) D^-1/2 [nodes, nodes], D the diagonal of the sums of A + I."""
    reading, other = edges(x, parameters)
    a = x.new_zeros(len(x), len(x))
    a[reading, other] = 1.0
    d = a.sum(dim=1)
    return a / (d[:, None] * d).sqrt()


def neighbourhoods(x: Tensor, parameters: Mapping[str, Tensor]) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Every node i, the places of its edges in the list of edges, and its neighbours."""
    reading, other = edges(x, parameters)
    for i in range(len(x)):
        places = (reading == i).nonzero().flatten()
        yield i, places, other[places]


def features(name: str, shape: Shape) -> int:
    """How many features a node has. Raises `Misfit` for anything but [features]."""
    if len(shape) != 1:
        raise Misfit(f"`{name}` takes the [features] of every node, got {list(shape)}", "put `flatten` before it")
    return shape[0]
