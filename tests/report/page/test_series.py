"""Values over steps in bounded memory: what is kept of them, and that it is true."""

from __future__ import annotations

import random

import pytest

from gradtrain.report.page.series import COUNT, GREATEST, LEAST, STEPS, SUM, Series, common_width, rounded


def filled(values: list[tuple[int, float]], limit: int = 1000) -> Series:
    series = Series(limit)
    for step, value in values:
        series.add(step, value)
    return series


def test_few_values_are_kept_as_they_are() -> None:
    values = [(step, random.Random(step).random()) for step in range(0, 9000, 10)]
    table = filled(values).table
    assert [(row[STEPS], row[SUM]) for row in table] == values
    assert set(table[:, COUNT]) == {1.0}


@pytest.mark.parametrize("limit", [10, 1000])
@pytest.mark.parametrize("stride", [1, 10])
def test_many_values_keep_mean_least_and_greatest(limit: int, stride: int) -> None:
    chance = random.Random(1)
    values = [(step, chance.gauss(0, 1)) for step in range(stride, 30_000 * stride + 1, stride)]
    values[17_000] = (values[17_000][0], 1e6)
    series = filled(values, limit)
    table = series.table
    assert limit / 2 <= len(table) <= limit
    assert series.width & (series.width - 1) == 0
    assert table[:, COUNT].sum() == len(values)
    assert table[:, SUM].sum() == pytest.approx(sum(value for _, value in values))
    assert table[:, GREATEST].max() == 1e6
    assert table[:, LEAST].min() == min(value for _, value in values)
    for row in table:  # every bucket speaks of its own steps alone
        own = [value for step, value in values if step // series.width == row[0]]
        if row[0] in (0, 3, 7):
            assert (row[LEAST], row[GREATEST], row[COUNT]) == (min(own), max(own), len(own))
            assert row[SUM] == pytest.approx(sum(own))


def test_steps_out_of_order_find_their_place() -> None:
    table = filled([(30, 3.0), (10, 1.0), (20, 2.0), (10, 5.0)]).table
    assert table[:, COUNT].tolist() == [2, 1, 1]
    assert (table[0, SUM], table[0, LEAST], table[0, GREATEST]) == (6.0, 1.0, 5.0)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    series = Series()
    for step, value in enumerate(["nan", 1.0, "inf", float("nan"), "-inf", 2, True, None, [1], "x", 10**400]):
        series.add(step, value)
    assert series.table[:, SUM].tolist() == [1.0, 2.0]
    assert series.lost_count == 4
    assert series.lost == [(0, "nan"), (2, "inf"), (3, "nan"), (4, "-inf")]


def test_series_stand_side_by_side_in_the_greatest_width() -> None:
    long, short = filled([(step, 1.0) for step in range(100)], 10), filled([(3, 5.0), (90, 7.0)])
    width = common_width([long, short])
    assert width == long.width == 16
    assert short.coarse(width)[:, 0].tolist() == [0.0, 5.0]
    assert long.coarse(width).tolist() == long.table.tolist()


def test_an_empty_series_is_empty() -> None:
    assert len(Series()) == 0
    assert Series().table.shape == (0, 6)
    assert Series().coarse(4).shape == (0, 6)


def test_numbers_are_kept_to_six_digits() -> None:
    assert rounded(0.123456789) == 0.123457
    assert rounded(float("nan")) is None
