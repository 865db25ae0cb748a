"""Charts below the progress line."""

from __future__ import annotations

import importlib.util
import io
import math

import pytest
from rich.console import Console
from rich.text import Text

from gradtrain.problems import Problem
from gradtrain.report.charts import HEIGHT, MOST, Charts, Curve, by_layer, display, drawn
from gradtrain.report.display import Events, Lines, Plan

PLAN = Plan("digits", "runs/digits/001", 0, 100, 10, 64, Text("the model"), "the facts")


def on_a_terminal(width: int, height: int) -> Charts:
    return Charts(Console(file=io.StringIO(), force_terminal=True, width=width, height=height))


@pytest.mark.parametrize("width", [20, 26, 60])
@pytest.mark.parametrize("y", [[], [2.0], [0.0, 0.0, 0.0], [1.0, 1e-9, -3.0], [math.nan, 1.0, math.inf]])
def test_a_chart_keeps_to_its_size_whatever_is_drawn(width: int, y: list[float]) -> None:
    lines = drawn("loss", list(range(len(y))), y, width)
    assert [len(line) for line in lines] == [width] * HEIGHT
    assert "loss" in lines[0]
    assert "\x1b" not in "".join(lines)


def test_what_spans_decades_is_drawn_by_its_logarithm() -> None:
    steps = list(range(50))
    assert "log10 loss" in drawn("loss", steps, [10.0 ** -(i / 10) for i in steps], 40)[0]
    assert "log10" not in drawn("loss", steps, [1.0 + i for i in steps], 40)[0]
    assert "log10" not in drawn("rate", steps, [10.0 ** -(i / 10) for i in steps], 40, decades=math.inf)[0]


def test_what_never_changes_lies_in_the_middle_of_an_axis_that_has_its_value() -> None:
    lines = drawn("learning rate", [1, 10, 20], [0.02] * 3, 40)
    (line,) = [line for line in lines if "⠉⠉" in line]
    assert line.strip().startswith("0.020")


def test_a_long_curve_keeps_its_beginning_its_end_and_its_shape() -> None:
    curve = Curve()
    for step in range(1, 100_001):
        curve.add(step, float(step))
    assert len(curve.x) <= MOST
    assert curve.x == curve.y == sorted(curve.x)
    assert curve.x[0] == 1
    assert curve.x[-1] > 99_000


def test_the_norm_of_a_layer_is_that_of_its_tensors_together() -> None:
    assert by_layer({"0.weight": 3.0, "0.bias": 4.0, "2.weight": 1.0}) == {"0": 5.0, "2": 1.0}


@pytest.mark.parametrize("width", [80, 120])
def test_three_charts_fit_below_the_line(width: int) -> None:
    shown = on_a_terminal(width, 40)
    shown.begin(PLAN)
    for step in (1, 2, 3):
        shown.step(step, 1.0 / step, 1e-3, 0.5, {"0.weight": 0.1, "2.weight": 0.2})
    rows = "".join(str(part) for part in shown.page() if isinstance(part, Text)).splitlines()
    shown.end("finished", "done", {}, 1.0, 3)
    assert len(rows) == HEIGHT
    assert max(map(len, rows)) <= width
    for title in ("loss", "learning rate", "|g| by layer"):
        assert title in rows[0]


def test_a_low_terminal_shows_the_line_alone() -> None:
    shown = on_a_terminal(80, HEIGHT)
    shown.begin(PLAN)
    shown.step(1, 1.0, 1e-3, 0.5, {"0.weight": 0.1})
    assert not [part for part in shown.page() if isinstance(part, Text)]
    shown.end("finished", "done", {}, 1.0, 1)


def test_off_a_terminal_nothing_changes() -> None:
    assert type(display(charts=True)) is type(display()) is Lines
    assert isinstance(display(as_json=True, charts=True), Events)


def test_without_plotext_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Problem, match="plotext") as caught:
        on_a_terminal(80, 40)
    assert caught.value.code == "extra-missing"
