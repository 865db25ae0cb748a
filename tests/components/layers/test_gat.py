"""Graph attention: shares by hand, against a dense softmax, and heads side by side or averaged."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gradtrain.components.layers.gat import Gat
from gradtrain.modules.graphs import Gat as Module
from gradtrain.modules.graphs import neighbours


def built(layer: Gat, features: int, edges: Tensor, nodes: int) -> Module:
    module = layer.build((features,)).double()
    assert isinstance(module, Module)
    module.bind(edges, nodes)
    return module


def test_equal_scores_share_equally() -> None:
    module = built(Gat(out=1, bias=False), 1, torch.tensor([[0, 1], [1, 2]]), 3)
    with torch.no_grad():
        module.weight.fill_(1.0)
        module.reads.zero_()
        module.read.zero_()
    x = torch.tensor([[1.0], [10.0], [100.0]], dtype=torch.float64)
    assert module(x).flatten().tolist() == pytest.approx([11 / 2, 111 / 3, 110 / 2])


def dense(module: Module, x: Tensor) -> Tensor:
    """The same with a matrix of nodes by nodes, as the paper's code has it."""
    assert module.graph is not None
    n = len(x)
    mask = torch.full((n, n), -torch.inf, dtype=x.dtype)
    mask[module.graph[0], module.graph[1]] = 0.0
    h = (x @ module.weight.T).reshape(n, module.heads, -1).transpose(0, 1)
    s = (h @ module.reads.unsqueeze(2)) + (h @ module.read.unsqueeze(2)).transpose(1, 2)
    y = (F.leaky_relu(s, module.slope) + mask).softmax(dim=2) @ h
    y = y.transpose(0, 1).flatten(1) if module.concat else y.mean(dim=0)
    return y if module.bias is None else y + module.bias


@pytest.mark.parametrize("merge", ["concat", "mean"])
def test_it_agrees_with_a_dense_softmax(merge: str, seeded: torch.Generator) -> None:
    layer = Gat.model_validate({"out": 3, "heads": 4, "merge": merge})
    module = built(layer, 5, torch.randint(0, 20, (2, 50), generator=seeded), 20)
    x = torch.randn(20, 5, generator=seeded, dtype=torch.float64).requires_grad_()
    y = module(x)
    assert y.shape == (20, *layer.output_shape((5,)))
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    leaves = [x, *module.parameters()]
    g = torch.randn(y.shape, generator=seeded, dtype=torch.float64)
    expected = torch.autograd.grad(dense(module, x), leaves, g)
    torch.testing.assert_close(y, dense(module, x))
    torch.testing.assert_close(layer.textbook(x, **own), y)
    closed = layer.gradient(g, x, **own)
    for name, automatic, wanted in zip(
        ["x", *dict(module.named_parameters())], torch.autograd.grad(y, leaves, g), expected, strict=True
    ):
        torch.testing.assert_close(automatic, wanted)
        torch.testing.assert_close(closed[name], wanted)


def test_large_scores_stay_finite() -> None:
    module = built(Gat(out=2, heads=2), 3, torch.tensor([[0, 1], [1, 2]]), 3)
    y = module(1e6 * torch.ones(3, 3, dtype=torch.float64))
    assert y.isfinite().all()


def test_dropout_acts_on_the_shares_only_while_training() -> None:
    module = built(Gat(out=1, dropout=0.9, bias=False), 1, torch.zeros(2, 0, dtype=torch.int64), 50)
    x = torch.ones(50, 1, dtype=torch.float64)
    heard = module(x) / module.weight.flatten()
    assert set(heard.flatten().round(decimals=9).tolist()) == {0.0, 10.0}
    torch.testing.assert_close(module.eval()(x), x * module.weight.flatten())


def test_the_size_of_the_network_of_the_paper() -> None:
    first, second = Gat(out=8, heads=8).build((1433,)), Gat(out=7).build((64,))
    assert sum(p.numel() for m in (first, second) for p in m.parameters()) == 1433 * 64 + 3 * 64 + 64 * 7 + 3 * 7


def test_the_order_of_the_edges_does_not_matter() -> None:
    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    assert torch.equal(neighbours(edges, 4), neighbours(edges.flip(0).flip(1), 4))
