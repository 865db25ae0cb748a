"""Phases: what is frozen, and how averages go on from one to the next."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.optimizers.schedule_free import ScheduleFree
from gradtrain.components.optimizers.sgd import Sgd
from gradtrain.training.penalties import Penalties
from gradtrain.training.phase import Phase, averages
from gradtrain.training.precision import Precision
from gradtrain.training.schedule import LearningRate
from gradtrain.training.update import Update


def update(name: str, parameters: list[Tensor], ema: float | None = None, rule: object = None) -> Update:
    rule = rule or Sgd(lr=0.1)
    return Update(name, rule, [{"params": parameters, "lr": 0.1}], [1.0], ema=ema)  # type: ignore[arg-type]


def phase(updates: list[Update], learning: list[Tensor], resting: list[Tensor] = []) -> Phase:  # noqa: B006
    return Phase(updates, LearningRate(None, "step", 0.1, 5, 5), Penalties([], {}), 0, 5, learning, resting)


@pytest.fixture
def two() -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([2.0]))]


def test_beginning_freezes_what_rests_and_unfreezes_what_learns(two: list[nn.Parameter]) -> None:
    two[0].requires_grad_(False)
    phase([update("model", [two[0]])], [two[0]], [two[1]]).begin()
    assert [p.requires_grad for p in two] == [True, False]


def test_an_update_that_comes_several_times_counts_once(two: list[nn.Parameter]) -> None:
    critic, generator = update("critic", [two[0]]), update("generator", [two[1]])
    assert phase([critic, critic, generator], list(two)).distinct == [critic, generator]


def test_averages_go_on_and_new_ones_begin_at_the_weights(two: list[nn.Parameter]) -> None:
    before = phase([update("model", [two[0]], ema=0.9)], [two[0]], [two[1]])
    before.begin()
    before.updates[0].mean[0].fill_(7.0)
    with torch.no_grad():
        two[1].fill_(5.0)
    after = phase([update("model", list(two), ema=0.9)], list(two))
    after.begin(before)
    assert [float(average) for average in after.updates[0].average] == [7.0, 5.0]
    assert [p.item() for p in two] == [1.0, 5.0]


def test_averages_belong_to_their_parameters(two: list[nn.Parameter]) -> None:
    one = update("model", list(two), ema=0.5)
    assert averages([one]) == {id(two[0]): one.mean[0], id(two[1]): one.mean[1]}
    assert averages([update("model", list(two))]) == {}


def test_what_schedule_free_found_is_where_the_next_phase_begins() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    first = update("model", [weight], rule=ScheduleFree(lr=0.1))
    before = phase([first], [weight])
    before.begin()
    for _ in range(5):
        weight.grad = weight.detach().clone()
        first.step(Precision(), 0.1, lambda: torch.zeros(()))
    average = float(first.average[0])
    assert average != weight.item()
    phase([update("model", [weight])], [weight]).begin(before)
    assert weight.item() == average
