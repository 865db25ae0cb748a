"""The memory that outlives a batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradtrain.modules.recurrent import Gru, Lstm, Rnn

Module = Lstm | Gru | Rnn
SETTINGS: dict[str, Any] = {"bidirectional": False, "dropout": 0.0, "last": False}


@pytest.fixture(params=["lstm", "gru", "rnn"])
def module(request: pytest.FixtureRequest) -> Module:
    cells: dict[str, Module] = {
        "lstm": Lstm(2, 3, 2, **SETTINGS),
        "gru": Gru(2, 3, 2, **SETTINGS),
        "rnn": Rnn(2, 3, 2, nonlinearity="tanh", **SETTINGS),
    }
    return cells[request.param]


def batch(seed: int = 0, rows: int = 4, time: int = 6) -> torch.Tensor:
    return torch.randn(rows, time, 2, generator=torch.Generator().manual_seed(seed))


def test_two_halves_give_what_the_whole_gives(module: Module) -> None:
    x = batch()
    whole = module(x)
    module.carry = True
    halves = torch.cat([module(x[:, :2]), module(x[:, 2:])], dim=1)
    torch.testing.assert_close(halves, whole)


def test_nothing_is_carried_unasked(module: Module) -> None:
    x = batch()
    first = module(x)
    assert module.carried is None
    assert torch.equal(module(x), first)


def test_no_gradient_flows_into_the_batch_before(module: Module) -> None:
    module.carry = True
    before, after = batch(0).requires_grad_(), batch(1).requires_grad_()
    module(before)
    assert module.carried is not None
    assert not any(part.requires_grad for part in module.carried)
    module(after).sum().backward()
    assert before.grad is None
    assert after.grad is not None


def test_it_can_forget(module: Module) -> None:
    x = batch()
    fresh = module(x)
    module.carry = True
    module(batch(1))
    assert not torch.equal(module(x), fresh)
    module.forget()
    assert torch.equal(module(x), fresh)


def test_a_batch_of_another_size_begins_with_zeros(module: Module) -> None:
    fresh = module(batch(rows=3))
    module.carry = True
    module(batch(1, rows=4))
    assert torch.equal(module(batch(rows=3)), fresh)
    assert module.carried is not None
    assert module.carried[0].shape == (2, 3, 3)


def test_a_memory_is_no_weight(module: Module) -> None:
    module.carry = True
    module(batch())
    assert all(name.startswith(("weight", "bias")) for name in module.state_dict())


def test_it_can_be_put_back(module: Module) -> None:
    """As a checkpoint does: a tuple of tensors, one or two of them."""
    module.carry = True
    module(batch())
    kept = module.carried
    assert kept is not None
    assert len(kept) == (2 if isinstance(module, Lstm) else 1)
    second = module(batch(1))
    module.carried = tuple(part.clone() for part in kept)
    assert torch.equal(module(batch(1)), second)
