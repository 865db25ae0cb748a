"""Numbers over time: sine waves, tables, and no data at all."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.datasets.csv_series import CsvSeries
from gradtrain.components.datasets.nothing import Nothing
from gradtrain.components.datasets.sine_waves import SineWaves


def test_waves_are_those_of_pytorchs_example() -> None:
    """pytorch/examples, time_sequence_prediction, with its T = 20, L = 1000, N = 100 and seed 2."""
    np.random.seed(2)
    x = np.array(range(1000)) + np.random.randint(-4 * 20, 4 * 20, 100).reshape(100, 1)
    made = SineWaves().load(Path())
    assert made.fields["x"].dtype == torch.float64
    assert np.array_equal(made.fields["x"].squeeze(2).numpy(), np.sin(x / 1.0 / 20))


def test_waves_of_another_scale() -> None:
    source = SineWaves(count=3, length=50, scale=2.0, max_shift=1, seed=7)
    x = source.load(Path()).fields["x"]
    assert x.shape == (3, 50, 1)
    assert set(source.load(Path()).fields) == {"x"}
    for wave in x:
        shift = min((-1, 0), key=lambda s: abs(math.sin(s / 2) - float(wave[0, 0])))
        assert np.allclose(wave.squeeze(1), [math.sin((t + shift) / 2) for t in range(50)], atol=1e-14)
    assert source.facts() == source.load(Path()).facts


def test_a_table_is_a_series(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("time;a;b\n1;2;3\n2;5;-7.5\n", "utf-8")
    made = CsvSeries(path="t.csv", columns=("b", "a"), delimiter=";").load(tmp_path)
    assert made.fields["x"].tolist() == [[3.0, 2.0], [-7.5, 5.0]]
    assert made.fields["x"].dtype == torch.float32
    assert (made.facts.series, made.facts.shape, made.facts.count, made.facts.range) == (True, (2,), 2, (-7.5, 5.0))
    assert made.features == ("b", "a")
    assert CsvSeries(path="t.csv", delimiter=";").load(tmp_path).features == ("time", "a", "b")


def test_a_column_of_dates_is_refused_with_the_key_to_write(tmp_path, refused) -> None:
    (tmp_path / "t.csv").write_text("day,a\n2020-01-01,2\n", "utf-8")
    refused("csv-number", CsvSeries(path="t.csv").load, tmp_path, says=("2020-01-01", "`columns:`"))
    refused("csv-columns", CsvSeries(path="t.csv", columns=("c",)).load, tmp_path, says=("`c`",))


@pytest.mark.parametrize("columns", [(), ("a", "a")])
def test_columns_are_different_names(columns) -> None:
    with pytest.raises(ValidationError):
        CsvSeries(path="t.csv", columns=columns)


def test_nothing_is_one_zero() -> None:
    made = Nothing().load(Path())
    assert made.fields.keys() == {"x"}
    assert made.fields["x"].tolist() == [[0.0]]
    assert made.facts == Nothing().facts()
