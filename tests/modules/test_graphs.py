"""Edges made into a graph, and graphs that do not fit the batch."""

from __future__ import annotations

import pytest
import torch

from gradtrain.modules.graphs import Gat, Gcn, degrees, neighbours, ring
from gradtrain.problems import Problem

NONE = torch.zeros(2, 0, dtype=torch.int64)
CPU = torch.device("cpu")


def pairs(graph: torch.Tensor) -> list[tuple[int, ...]]:
    return [tuple(pair) for pair in graph.T.tolist()]


def test_both_directions_each_once_and_oneself() -> None:
    edges = torch.tensor([[0, 1, 2, 1], [1, 0, 2, 2]])
    assert pairs(neighbours(edges, 4)) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (3, 3)]
    assert degrees(neighbours(edges, 4), 4).tolist() == [2, 3, 2, 1]


def test_without_edges_everyone_is_alone() -> None:
    assert pairs(neighbours(NONE, 3)) == [(0, 0), (1, 1), (2, 2)]


def test_rings() -> None:
    assert pairs(ring(1, CPU)) == [(0, 0)]
    assert pairs(ring(2, CPU)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert degrees(ring(5, CPU), 5).tolist() == [3] * 5


def modules() -> list[Gcn | Gat]:
    return [Gcn(3, 2, True), Gat(3, 2, 2, concat=True, slope=0.2, dropout=0.0, bias=True)]


@pytest.mark.parametrize("module", modules(), ids=["gcn", "gat"])
def test_unbound_the_nodes_form_a_ring(module: Gcn | Gat) -> None:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    unbound = module(x)
    module.bind(torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]]), 5)
    torch.testing.assert_close(module(x), unbound)


@pytest.mark.parametrize("module", modules(), ids=["gcn", "gat"])
def test_a_part_of_the_graph_is_refused(module: Gcn | Gat) -> None:
    module.bind(NONE, 5)
    with pytest.raises(Problem, match="a batch has 4 nodes, the graph 5") as refused:
        module(torch.zeros(4, 3))
    assert refused.value.code == "not-the-graph"
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("module", modules(), ids=["gcn", "gat"])
def test_the_graph_is_not_in_a_checkpoint_but_moves_with_the_module(module: Gcn | Gat) -> None:
    module.bind(NONE, 5)
    assert not {"graph", "shares"} & module.state_dict().keys()
    assert {"graph"} <= dict(module.named_buffers()).keys()
    assert module.double()(torch.zeros(5, 3, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("module", modules(), ids=["gcn", "gat"])
def test_a_graph_whose_matrix_would_not_fit_in_memory(module: Gcn | Gat) -> None:
    nodes = 200_000  # squared, 160 GB
    path = torch.arange(nodes)
    module.bind(torch.stack([path[:-1], path[1:]]), nodes)
    y = module(torch.ones(nodes, 3))
    y.sum().backward()
    torch.testing.assert_close(y[1000:2000], y[1001:2001])
    assert module.weight.grad is not None
