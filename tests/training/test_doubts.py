"""Data that looks wrong: columns that never change, samples in two splits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gradtrain.problems import explanation
from gradtrain.training import doubts
from gradtrain.training.doubts import constant_columns, overlaps

FILE = (Path("t.csv"),)
X = torch.tensor([[1.0, 5.0, 0.1, 2.0], [2.0, 5.0, 0.1, 2.0], [3.0, 5.0, 0.2, 2.0]])


def test_columns_that_never_change() -> None:
    (found,) = constant_columns(X, ("age", "town", "share", "unit"), FILE)
    assert (found.code, found.severity) == ("constant-column", "warning")
    assert found.what == "2 columns never change in the train split: `town`, `unit`"
    assert str(found.at) == "t.csv"
    (found,) = constant_columns(X[:, :3], ("age", "a\x1b", "share"), FILE)
    assert "\x1b" not in found.what
    assert found.what.startswith("the column ")
    (found,) = constant_columns(torch.ones(2, 9), tuple("abcdefghi"), FILE)
    assert found.what == "9 columns never change in the train split: `a`, `b`, `c`, `d`, `e`, …"
    assert explanation(found.code)


@pytest.mark.parametrize(
    ("x", "names"),
    [(X[:, [0, 2]], ("age", "share")), (X[:1], ("a", "b", "c", "d")), (X, ()), (X.reshape(3, 2, 2), ("a", "b"))],
    ids=["changing", "one row", "no names", "pictures"],
)
def test_columns_that_are_no_mistake(x: torch.Tensor, names: tuple[str, ...]) -> None:
    assert constant_columns(x, names, FILE) == []


def part(*rows: int, label: int = 0) -> dict[str, torch.Tensor]:
    """Samples of the shape [1, 2, 2] that a number and a label tell apart."""
    x = torch.tensor(rows, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return {"x": x, "y": torch.full((len(rows),), label)}


def test_samples_in_two_splits_are_counted() -> None:
    splits = {"train": part(1, 2, 3, 3), "val": part(3, 4, 3, 1), "test": part(5, 6)}
    (found,) = overlaps(splits, FILE)
    assert (found.code, found.severity) == ("split-overlap", "warning")
    assert found.what == "3 of 4 val samples stand in the train split too"
    assert explanation(found.code)
    assert overlaps({**splits, "val": part(3, label=1)}, FILE) == []  # the same input with another label
    assert [p.what[:6] for p in overlaps({**splits, "test": part(1)}, FILE)] == ["3 of 4", "1 of 1"]
    assert overlaps({"train": part(1, 1)}, FILE) == []


def test_too_much_data_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "MOST", 10)
    assert overlaps({"train": part(1, 2), "val": part(1)}, FILE) == []
