"""Where the time of a step goes."""

from __future__ import annotations

import itertools

import pytest
import torch

from gradtrain.training import timed
from gradtrain.training.timed import Clock, Timed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that moves by one second whenever it is read."""
    seconds = itertools.count()
    monkeypatch.setattr(timed.time, "perf_counter", lambda: float(next(seconds)))
    return Clock(torch.device("cpu"))


def test_time_within_another_part_belongs_to_that_part(clock: Clock) -> None:
    def outer() -> str:
        clock.call("forward", lambda: None)
        return "done"

    assert clock.call("loss", outer) == "done"
    assert clock.seconds == {"loss": 2.0, "forward": 1.0}


def test_an_exception_ends_its_part(clock: Clock) -> None:
    def wrong() -> None:
        raise ValueError("of the part")

    with pytest.raises(ValueError, match="of the part"):
        clock.call("loss", wrong)
    assert clock.running == []
    assert clock.seconds == {"loss": 1.0}


def test_only_what_is_named_is_timed(clock: Clock) -> None:
    around = Timed([3, 1], clock, {"index": "data"})
    assert around.count(3) == 1
    assert clock.seconds == {}
    assert around.index(1) == 1
    assert clock.seconds == {"data": 1.0}


def test_the_forward_pass_of_every_network_counts(clock: Clock) -> None:
    networks = {"one": torch.nn.Linear(2, 2), "two": torch.nn.Linear(2, 2)}
    x = torch.zeros(1, 2)
    with timed.forward_timed(clock, networks):
        networks["two"](networks["one"](x))
    networks["one"](x)
    assert clock.seconds == {"forward": 2.0}
