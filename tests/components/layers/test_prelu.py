"""The learned slope: torch's own, one for all or one a channel, and out of reach of penalties on weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gradtrain.components.layers.prelu import Prelu
from gradtrain.training.selectors import parameters, select


def test_it_begins_as_a_leaky_relu(seeded: torch.Generator) -> None:
    x = torch.randn(3, 4, 2, 2, generator=seeded)
    assert torch.equal(Prelu().build((4, 2, 2))(x), F.leaky_relu(x, 0.25))
    assert torch.equal(Prelu(start=0.1, per_channel=True).build((4, 2, 2))(x), F.leaky_relu(x, 0.1))


def test_every_channel_learns_its_own() -> None:
    module = Prelu(per_channel=True).build((2,))
    x = torch.tensor([[-1.0, 5.0], [-2.0, -3.0]])
    module(x).sum().backward()
    assert module.weight.grad is not None
    assert module.weight.grad.tolist() == [-3.0, -3.0]
    assert Prelu().gradient(torch.ones(2, 2), x, weight=torch.tensor([0.25]))["weight"].tolist() == [-6.0]


def test_penalties_on_weights_do_not_reach_it() -> None:
    assert select("weights", parameters({"model": Prelu(per_channel=True).build((4,))})) == []
