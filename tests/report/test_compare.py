"""Runs side by side: curves as lines of blocks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from gradtrain.report.compare import POINTS, compared, curves, sparklines, table


def steps(values: list[Any]) -> list[dict[str, Any]]:
    return [{"kind": "step", "step": step, "loss": {"total": value}} for step, value in enumerate(values, 1)]


def test_curves_of_a_row_share_one_scale() -> None:
    assert sparklines([[0.0, 1.0, 7.0], [3.5], []]) == ["▁▂█", "▅", ""]


def test_what_spans_decades_is_drawn_by_its_logarithm() -> None:
    assert sparklines([[1.0, 10.0, 100.0, 1000.0]]) == ["▁▃▆█"]
    assert sparklines([[0.0, 10.0, 100.0, 1000.0]]) == ["▁▁▁█"]


def test_what_is_no_number_is_a_cross_and_what_stands_still_a_middle() -> None:
    assert sparklines([[math.nan, 2.0, math.inf]]) == ["×▅×"]
    assert sparklines([[math.nan]]) == ["×"]


def test_a_long_curve_is_the_means_of_its_parts() -> None:
    values = [float(i) for i in range(10 * POINTS)]
    assert curves(steps(values)) == {"loss.total": [10.0 * i + 4.5 for i in range(POINTS)]}


@pytest.mark.parametrize("value", ["nan", None, [], 10**400, True])
def test_what_a_journal_may_hold_instead_of_a_number(value: Any) -> None:
    found = curves(steps([1.0, value]))["loss.total"]
    assert found[0] == 1.0
    assert len(sparklines([found])[0]) == 2


def test_the_table_ends_with_curves(tmp_path: Path) -> None:
    for name, last in (("a", 0.5), ("b", 2.0)):
        folder = tmp_path / name
        folder.mkdir()
        lines = [*steps([2.0, 1.0, last]), {"kind": "evaluation", "step": 3, "split": "val", "metrics": {"loss": 1.0}}]
        (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, rows = table(compared([tmp_path / "a", tmp_path / "b"]))
    assert rows[-1] == ["loss.total over time", "█▃▁", "█▃█"]
