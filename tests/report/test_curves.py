"""The plot of an activation and its derivative."""

from __future__ import annotations

import importlib.util

import pytest

from gradtrain.components.activations.relu import Relu
from gradtrain.components.activations.softmax import Softmax
from gradtrain.report.curves import HOW_TO_GET_PLOTS, curves


@pytest.mark.parametrize("width", [20, 40, 100])
def test_a_plot_keeps_to_the_width(width: int) -> None:
    lines = curves(Relu, width).splitlines()
    assert len(lines) > 10
    assert max(map(len, lines)) <= min(width, 76)
    assert not any("\x1b" in line for line in lines)


def test_a_function_that_mixes_its_inputs_has_no_plot() -> None:
    assert curves(Softmax, 80) == ""


def test_without_plotext_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert curves(Relu, 80) == HOW_TO_GET_PLOTS
    assert "\n" not in HOW_TO_GET_PLOTS
