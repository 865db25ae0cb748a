"""Graph convolution on a graph that can be computed by hand, and against matrices."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gradtrain.components.layers.gcn import Gcn
from gradtrain.modules.graphs import Gcn as Module
from gradtrain.stage import Misfit

EDGES = torch.tensor([[0, 1, 1], [1, 2, 0]])
"""A path 0 - 1 - 2; one of its edges stands there twice."""


def bound(nodes: int = 3, **settings: int | bool) -> tuple[Gcn, Module]:
    layer = Gcn.model_validate({"out": 1, "bias": False, **settings})
    module = layer.build((1,)).double()
    assert isinstance(module, Module)
    module.bind(EDGES, nodes)
    return layer, module


def everything(module: Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def test_a_path_by_hand() -> None:
    layer, module = bound()
    with torch.no_grad():
        module.weight.fill_(1.0)
    x = torch.tensor([[1.0], [10.0], [100.0]], dtype=torch.float64)
    r = math.sqrt(6)
    expected = [1 / 2 + 10 / r, 1 / r + 10 / 3 + 100 / r, 10 / r + 100 / 2]
    assert module(x).flatten().tolist() == pytest.approx(expected)
    assert layer.textbook(x, **everything(module)).flatten().tolist() == pytest.approx(expected)


def test_a_node_without_neighbours_hears_itself() -> None:
    layer, module = bound(nodes=4)
    x = torch.tensor([[1.0], [10.0], [100.0], [7.0]], dtype=torch.float64)
    assert module(x)[3].item() == pytest.approx(7 * module.weight.item())
    torch.testing.assert_close(layer.textbook(x, **everything(module)), module(x))


def test_the_closed_form_on_a_bound_graph(seeded: torch.Generator) -> None:
    layer = Gcn(out=4)
    module = layer.build((3,)).double()
    assert isinstance(module, Module)
    module.bind(torch.randint(0, 30, (2, 60), generator=seeded), 30)
    x = torch.randn(30, 3, generator=seeded, dtype=torch.float64).requires_grad_()
    y = module(x)
    g = torch.randn(y.shape, generator=seeded, dtype=torch.float64)
    torch.testing.assert_close(layer.textbook(x, **everything(module)), y)
    found = layer.gradient(g, x, **everything(module))
    for name, expected in zip(
        ["x", "weight", "bias"], torch.autograd.grad(y, [x, *module.parameters()], g), strict=True
    ):
        torch.testing.assert_close(found[name], expected)


def test_the_size_of_the_network_of_the_paper() -> None:
    first, second = Gcn(out=16).build((1433,)), Gcn(out=7).build((16,))
    assert sum(p.numel() for m in (first, second) for p in m.parameters()) == 1433 * 16 + 16 + 16 * 7 + 7


def test_images_are_no_nodes() -> None:
    with pytest.raises(Misfit, match=r"got \[1, 8, 8\]"):
        Gcn(out=2).build((1, 8, 8))
