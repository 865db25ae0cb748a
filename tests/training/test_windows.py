"""Samples cut from sequences: what stands where, and that nothing is copied or forgotten."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.datasets import IGNORED
from gradtrain.problems import Problem
from gradtrain.training.windows import covering, of_rows, of_series


def test_windows_of_a_series_and_the_same_one_step_later() -> None:
    cut = of_series(torch.arange(8), 3, 2, None)
    assert cut["x"].tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert cut["y"].tolist() == [[1, 2, 3], [3, 4, 5], [5, 6, 7]]


def test_what_follows_a_window() -> None:
    cut = of_series(torch.arange(8), 3, 1, 2)
    assert cut["x"].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert cut["y"].tolist() == [[3, 4], [4, 5], [5, 6], [6, 7]]


@pytest.mark.parametrize("predict", [None, 1, 3])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_features_stay_the_last_axis(predict: int | None, step: int) -> None:
    x = torch.arange(40.0).reshape(20, 2)
    cut = of_series(x, 4, step, predict)
    for i in range(len(cut["x"])):
        assert torch.equal(cut["x"][i], x[i * step : i * step + 4])
        ahead = x[i * step + 1 : i * step + 5] if predict is None else x[i * step + 4 : i * step + 4 + predict]
        assert torch.equal(cut["y"][i], ahead)
    assert len(cut["x"]) == len(cut["y"]) == (20 - 4 - (predict or 1)) // step + 1


def test_a_series_is_looked_at_and_not_copied() -> None:
    x = torch.arange(10_000)
    cut = of_series(x, 100, 1, None)
    storage = x.untyped_storage().data_ptr()
    assert cut["x"].untyped_storage().data_ptr() == cut["y"].untyped_storage().data_ptr() == storage
    assert cut["x"].shape == (9_900, 100)


def test_no_window_crosses_from_one_row_into_another() -> None:
    x = torch.arange(12).reshape(2, 6)
    cut = of_rows(x, 3, 1, None)
    assert cut["x"].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [6, 7, 8], [7, 8, 9], [8, 9, 10]]
    assert torch.equal(cut["y"], cut["x"] + 1)


def test_whole_rows() -> None:
    x = torch.arange(12).reshape(2, 6)
    assert of_rows(x, None, 1, None)["x"].tolist() == [[0, 1, 2, 3, 4], [6, 7, 8, 9, 10]]
    after = of_rows(x, None, 1, 2)
    assert (after["x"].tolist(), after["y"].tolist()) == ([[0, 1, 2, 3], [6, 7, 8, 9]], [[4, 5], [10, 11]])


@pytest.mark.parametrize("count", range(6, 30))
@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_every_symbol_but_the_first_is_a_target_exactly_once(count: int, length: int) -> None:
    cut = covering(torch.arange(count), length)
    real = cut["y"] != IGNORED
    assert sorted(cut["y"][real].tolist()) == list(range(1, count))
    assert torch.equal(cut["x"][real] + 1, cut["y"][real])  # and it stands one place before it in the window
    assert cut["x"].shape == cut["y"].shape


@pytest.mark.parametrize(("length", "predict"), [(8, None), (5, 4), (8, 1)])
def test_a_window_that_does_not_fit_is_a_matter_of_the_data(length: int, predict: int | None) -> None:
    rows = torch.arange(16).reshape(2, 8)
    for cut in (lambda: of_series(torch.arange(8), length, 1, predict), lambda: of_rows(rows, length, 1, predict)):
        with pytest.raises(Problem) as caught:
            cut()
        assert (caught.value.code, caught.value.exit_code) == ("window-too-long", 3)
    of_series(torch.arange(9), length, 1, predict)
