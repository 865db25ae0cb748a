"""Differences against derivatives that are known exactly: the bound must hold the truth."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from gradtrain.gradcheck.slopes import SHARP, central, one_sided

EPS = 2.2e-16

SMOOTH: dict[str, tuple[Callable[[float], float], float]] = {
    "sine": (lambda t: math.sin(0.7 + t) - math.sin(0.7), math.cos(0.7)),
    "exponential": (lambda t: math.expm1(3 * t), 3.0),
    "square": (lambda t: t * t, 0.0),
    "line": (lambda t: -2.5 * t, -2.5),
    "constant": (lambda t: 0.0, 0.0),
    "pole nearby": (lambda t: 1 / (1 + t) - 1, -1.0),
    "logarithm": (lambda t: math.log1p(t / 0.4), 2.5),
    "far from linear": (lambda t: math.tanh(8 * t), 8.0),
    "odd powers": (lambda t: t + t**3 + t**5 + t**7, 1.0),
    "tiny": (lambda t: 1e-200 * math.sin(t), 1e-200),
    "huge": (lambda t: 1e200 * math.sin(t), 1e200),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_a_central_difference_is_as_close_as_it_says(name: str) -> None:
    function, truth = SMOOTH[name]
    (slope,) = central(lambda t: [function(t)], [EPS * abs(truth)], 0.25)
    assert abs(slope.value - truth) <= slope.error + 1e-300
    assert slope.error <= 1e-9 * abs(truth) + 1e-12 * (name == "square")


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_holds_the_truth_for_sums_of_waves(seed: int) -> None:
    draw = random.Random(seed)
    waves = [(draw.uniform(-2, 2), draw.uniform(0.1, 6), draw.uniform(0, 6)) for _ in range(5)]

    def function(t: float) -> float:
        return sum(a * (math.sin(w * t + p) - math.sin(p)) for a, w, p in waves)

    truth = sum(a * w * math.cos(p) for a, w, p in waves)
    (slope,) = central(lambda t: [function(t)], [10 * EPS], 0.25)
    assert abs(slope.value - truth) <= slope.error
    assert slope.error <= 1e-8 * max(1.0, abs(truth))


def test_noise_in_the_function_is_in_the_bound() -> None:
    draw = random.Random(1)
    noise = 1e-6

    def function(t: float) -> float:
        return math.sin(1 + t) - math.sin(1) + noise * draw.uniform(-1, 1)

    (slope,) = central(lambda t: [function(t)], [noise], 0.25)
    assert abs(slope.value - math.cos(1)) <= slope.error
    assert 1e-7 < slope.error < 1e-3


def test_several_numbers_of_a_line_are_kept_apart() -> None:
    sine, cube = central(lambda t: [math.sin(t), 5 * t**3 - t], [EPS, EPS], 0.25)
    assert sine.value == pytest.approx(1.0, abs=1e-11)
    assert cube.value == pytest.approx(-1.0, abs=1e-11)


def test_a_symmetric_kink_is_invisible_to_central_differences_and_not_to_one_sided_ones() -> None:
    (middle,) = central(lambda t: [abs(t)], [EPS], 0.25)
    (right,) = one_sided(lambda t: [abs(t)], [EPS], 0.25)
    assert middle.value == 0
    assert right.value == 1


def test_a_one_sided_derivative_is_that_of_its_side() -> None:
    (right,) = one_sided(lambda t: [math.exp(t) - 1 if t >= 0 else -7 * t], [EPS], 0.25)
    assert right.value == pytest.approx(1.0, abs=1e-9)
    assert abs(right.value - 1) <= right.error


def test_a_jump_never_gets_a_tight_bound() -> None:
    (slope,) = central(lambda t: [1.0 if t > 0 else 0.0], [EPS], 0.25)
    assert not slope.error <= 1e-3 * abs(slope.value)


def test_a_line_outside_the_domain_has_no_slope() -> None:
    (slope,) = central(lambda t: [math.nan], [EPS], 0.25)
    assert math.isnan(slope.value)
    assert slope.error == math.inf


def test_a_domain_that_ends_beside_the_point_needs_a_smaller_first_step() -> None:
    def line(t: float) -> list[float]:
        return [math.log1p(t / 0.03) if t > -0.03 else math.nan]

    assert central(line, [EPS], 0.25)[0].error == math.inf
    assert central(line, [EPS], 0.25 / 24)[0].value == pytest.approx(1 / 0.03, rel=1e-9)


def test_the_largest_change_that_was_seen_is_known() -> None:
    (slope,) = central(lambda t: [1e6 * t * t + t], [EPS * 1e6], 0.25)
    assert slope.reach == pytest.approx(1e6 / 16, rel=0.01)


def test_no_more_evaluations_than_a_sharp_answer_takes() -> None:
    seen: list[float] = []

    def line(t: float) -> list[float]:
        seen.append(t)
        return [2 * t]

    (slope,) = central(line, [0.0], 0.25)
    assert slope.error <= SHARP
    assert len(seen) <= 4
