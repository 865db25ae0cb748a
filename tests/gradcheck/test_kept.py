"""What a call leaves behind is put back: before every evaluation, and at the end."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradtrain.gradcheck.kept import Kept


class Forgetful(nn.Module):
    """Changes everything that a module can have."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.calls = 0
        self.last: Tensor | None = None
        self.table = torch.ones(2)
        self.history: list[float] = [1.0]
        self.cache: dict[str, Any] = {"a": 1}
        self.names = {"one"}
        self.noise = torch.Generator().manual_seed(3)

    def forward(self, x: Tensor) -> Tensor:
        self.mean = self.mean + x.mean()
        self.count += 1
        self.calls += 1
        self.last = self.table = x
        self.history.append(2.0)
        self.cache["b"] = x
        self.names.add("two")
        self.fresh = x
        return x * torch.rand((), generator=self.noise)


def test_a_module_is_as_it_was_in_every_attribute() -> None:
    module = Forgetful()
    mean, count, table, history, cache = module.mean, module.count, module.table, module.history, module.cache
    state = module.noise.get_state()
    kept = Kept.of([module], [], [])
    for _ in range(3):
        module(torch.ones(3))
    kept.restore()
    assert module.mean is mean
    assert module.count is count
    assert int(count) == 0
    assert module.calls == 0
    assert module.last is None
    assert module.table is table
    assert module.history is history
    assert history == [1.0]
    assert module.cache is cache
    assert cache == {"a": 1}
    assert module.names == {"one"}
    assert not hasattr(module, "fresh")
    assert torch.equal(module.noise.get_state(), state)


def test_every_evaluation_begins_alike() -> None:
    module = Forgetful()
    kept = Kept.of([module], [], [])
    answers = []
    for number in range(5):
        kept.rewind()
        assert (module.calls, int(module.count), module.history) == (0, 0, [1.0])
        assert float(module.mean.sum()) == 0
        answers.append(module(torch.ones(3)))
        if number < 2:
            kept.watch()
    assert all(torch.equal(answers[0], other) for other in answers)


def test_all_generators_are_put_back_and_a_draw_is_noticed() -> None:
    own = torch.Generator().manual_seed(1)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy(), own.get_state()
    kept = Kept([], [own])
    assert not kept.random
    first = torch.rand(3), random.random(), float(np.random.rand()), torch.rand(2, generator=own)
    kept.watch()
    assert kept.random
    kept.rewind()
    assert torch.equal(torch.rand(3), first[0])
    assert random.random() == first[1]
    assert float(np.random.rand()) == first[2]
    assert torch.equal(torch.rand(2, generator=own), first[3])
    kept.restore()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()
    assert torch.equal(own.get_state(), states[3])


def test_a_call_that_draws_nothing_is_not_random() -> None:
    kept = Kept()
    torch.ones(3).sin()
    kept.watch()
    assert not kept.random


def test_tensors_that_moved_are_told_with_their_first_values() -> None:
    one, two = torch.zeros(2), torch.tensor([1.0, torch.nan])
    kept = Kept([one, two])
    assert kept.moved() == []
    one.add_(5)
    ((tensor, value),) = kept.moved()
    assert tensor is one
    assert torch.equal(value, torch.zeros(2))
    kept.rewind()
    assert torch.equal(one, torch.zeros(2))


def test_what_moves_only_once_is_put_back_at_the_end() -> None:
    late = torch.zeros(2)
    kept = Kept([late])
    kept.watch()
    kept.watch()
    late.add_(1)
    kept.restore()
    assert torch.equal(late, torch.zeros(2))


def test_the_mode_of_a_module_is_no_matter_of_its() -> None:
    module = nn.Dropout()
    kept = Kept.of([module], [], [])
    module.eval()
    kept.restore()
    assert not module.training


def test_a_buffer_in_place_of_another_is_noticed() -> None:
    module = nn.BatchNorm1d(2)
    mean = module.running_mean
    kept = Kept.of([module], [], [])
    module.running_mean = torch.ones(2)
    kept.watch()
    kept.rewind()
    assert module.running_mean is mean


def test_an_expanded_tensor_is_put_back_too() -> None:
    for tensor in (torch.arange(3).expand(2, 3), torch.arange(3.0)[:, None].expand(3, 4), torch.zeros(0).expand(2, 0)):
        before = tensor.clone()
        kept = Kept([tensor])
        tensor[:1, :1].add_(7)
        kept.rewind()
        assert torch.equal(tensor, before)
