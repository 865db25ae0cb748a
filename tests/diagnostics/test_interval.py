"""When close looks are due, and how the budget spreads them."""

from __future__ import annotations

from typing import Any

import pytest

from gradtrain.diagnostics.interval import Interval


def due(interval: Interval, until: int) -> list[int]:
    steps, step = [], 0
    while (step := interval.after(step)) <= until:
        steps.append(step)
    return steps


def test_by_default_looks_come_twice_an_octave() -> None:
    assert due(Interval(None, 0.02, {}), 100) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96]


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        (1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        (5, [1, 2, 3, 4, 5, 10]),
        (50, [1, 2, 3, 4, 6, 8, 12]),
    ],
)
def test_from_every_on_its_multiples(every: int, steps: list[int]) -> None:
    assert due(Interval(every, 0.02, {}), 12) == steps


def test_the_budget_doubles_the_interval_until_it_is_kept() -> None:
    memory: dict[str, Any] = {}
    interval = Interval(50, 0.02, memory)
    for _ in range(3):
        interval.spent(4.0, 1.0)
    assert interval.after(100) == 150  # three looks are too few to judge by
    interval.spent(4.0, 1.0)  # 3 steps more in 150: 2 %
    assert memory["times"] == 4
    assert interval.after(100) == 200
    assert Interval(50, 0.02, memory).after(100) == 200


def test_a_look_that_is_cheap_enough_changes_nothing() -> None:
    interval = Interval(50, 0.02, {})
    for _ in range(9):
        interval.spent(1.9, 1.0)
    assert interval.after(100) == 150
