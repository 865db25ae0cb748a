"""What a checkpoint holds of the networks: what was learned, and nothing that follows from data or shapes."""

from __future__ import annotations

import torch
from torch import nn

from gradtrain.components.layers import Placed
from gradtrain.components.layers._chain import build
from gradtrain.components.layers.attention import Attention
from gradtrain.components.layers.gcn import Gcn
from gradtrain.components.layers.linear import Linear
from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.training import state

EDGES = torch.tensor([[0, 1, 2], [1, 2, 3]])


def graph(edges: torch.Tensor | None = None) -> nn.Module:
    network = build((Placed(part=Gcn(out=3)), Placed(part=Gcn(out=2))), (5,))
    for module in network.modules():
        if edges is not None and callable(bind := getattr(module, "bind", None)):
            bind(edges, 4)
    return network


def kept(network: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{state.WEIGHTS}model.{name}": value for name, value in state._named(network).items()}


def test_what_is_kept_is_what_torch_keeps() -> None:
    turning = build((Placed(part=Attention(heads=2, rotary=True)),), (4, 8))
    normed = build((Placed(part=Linear(out=3)), Placed(part=BatchNorm())), (5,))
    for network in (graph(EDGES), graph(), turning, normed):
        assert set(state._named(network)) == set(network.state_dict())


def test_the_graph_of_the_data_is_no_part_of_the_model() -> None:
    bound, free = graph(EDGES), graph()
    assert state.mismatches(kept(bound), {"model": free}) == []
    assert state.mismatches(kept(free), {"model": bound}) == []
    older = kept(bound) | {"network.model.0.graph": EDGES, "network.model.1.shares": torch.ones(4)}  # was kept once
    for network in (bound, free):
        assert state.mismatches(older, {"model": network}) == []
    assert len(state.mismatches(older, {"model": graph().double()})) == 4


def test_a_buffer_that_learned_is_part_of_the_model() -> None:
    normed = build((Placed(part=Linear(out=3)), Placed(part=BatchNorm())), (5,))
    without = {name: value for name, value in kept(normed).items() if "running_mean" not in name}
    (line,) = state.mismatches(without, {"model": normed})
    assert line.startswith("model.1.running_mean: not saved")
