"""The logger csv."""

from __future__ import annotations

import csv

from gradtrain.components.loggers.csv import Csv


def test_every_number_is_one_row_and_stands_there_once(twice) -> None:
    with (twice(Csv()) / "metrics.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["step", "name", "value"]
    assert [(int(step), name) for step, name, _ in rows] == [
        (step, name) for step in (10, 20, 30, 40, 50) for name in ("train/loss", "val/accuracy")
    ]
    assert [float(value) for _, name, value in rows if name == "train/loss"] == [1 / s for s in (10, 20, 30, 40, 50)]


def test_half_a_row_of_a_process_that_was_killed_is_left_out(header) -> None:
    path = header().folder / "metrics.csv"
    path.write_text("step,name,value\n10,lr,0.5\n20,l")
    Csv().open(header(20)).close("finished")
    assert path.read_text().splitlines() == ["step,name,value", "10,lr,0.5"]


def test_names_and_numbers_of_any_kind_survive(header) -> None:
    log = Csv().open(header())
    log.numbers(1, {'a, "b"\nc': float("nan"), "d": float("-inf")})
    log.close("finished")
    with (header().folder / "metrics.csv").open(newline="") as file:
        assert list(csv.reader(file))[1:] == [["1", 'a, "b"\nc', "nan"], ["1", "d", "-inf"]]
