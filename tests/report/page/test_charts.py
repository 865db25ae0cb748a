"""The data behind the charts: what stands in it is what the journals say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrain.report.page.charts import BINS, charts, distributions, maps
from gradtrain.report.page.groups import groups
from gradtrain.report.page.recorded import Recorded, recorded

Lines = list[dict[str, Any]]


@pytest.fixture
def runs(made: Callable[..., Path]) -> Callable[..., list[Recorded]]:
    """Runs of these journals."""
    return lambda *journals, **more: recorded([made(f"run{i}", lines, **more) for i, lines in enumerate(journals)])


def titled(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["title"]: one for one in found}


def test_every_curve_of_a_run_has_its_chart(runs: Any, full: Lines) -> None:
    found = titled(charts(runs(full), []))
    wanted = {"Loss", "Accuracy", "Learning rate", "Gradient norm, all weights together", "Depth ratio"}
    assert set(found) == wanted
    assert [(one["name"], len(one["x"])) for one in found["Loss"]["series"]] == [("train", 20), ("val", 4), ("test", 1)]
    assert found["Loss"]["series"][2]["x"] == [150]  # the step of the weights, not of the line
    assert found["Loss"]["log"]
    assert not found["Accuracy"]["log"]
    json.dumps(list(found.values()), allow_nan=False)


def test_terms_and_penalties_share_a_chart(runs: Any, step_line: Any) -> None:
    lines = [step_line(step, penalty={"l2": 0.1 * step}) for step in range(1, 9)]
    terms = titled(charts(runs(lines), []))["Terms of the loss"]
    assert [one["name"] for one in terms["series"]] == ["cross_entropy", "l2"]
    assert terms["series"][1]["y"][3] == pytest.approx(0.4)


def test_numbers_that_are_not_finite_are_said(runs: Any, step_line: Any) -> None:
    lines = [step_line(1), step_line(2, loss={"total": "nan"}), step_line(3, loss={"total": "inf"})]
    loss = titled(charts(runs(lines), []))["Loss"]
    assert loss["series"][0]["x"] == [1]
    assert loss["lost"] == [{"run": 0, "name": "train", "count": 2, "first": [(2, "nan"), (3, "inf")]}]


def test_a_long_run_keeps_its_peaks(runs: Any, step_line: Any) -> None:
    lines = [step_line(step) for step in range(1, 5001)]
    lines[3333]["loss"]["total"] = 777.0
    train = titled(charts(runs(lines), []))["Loss"]["series"][0]
    assert len(train["x"]) <= 1000
    assert max(train["high"]) == 777.0
    assert train["each"] == 8
    assert all(low <= y <= high for low, y, high in zip(train["low"], train["y"], train["high"], strict=True))


def test_seeds_become_a_mean_and_a_band(
    runs: Any, config: str, made: Callable[..., Path], evaluation_line: Any
) -> None:
    folders = [
        made(f"s{seed}", [evaluation_line(10, loss=float(seed)), *more], config=f"{config}seed: {seed}\n")
        for seed, more in ((1, [evaluation_line(20, loss=5.0)]), (2, []), (6, []))
    ]
    own = recorded(folders)
    loss = titled(charts(own, groups(own)))["Loss"]
    (mean,) = loss["means"]
    assert (mean["x"], mean["y"], mean["low"], mean["high"]) == ([10, 20], [3.0, 5.0], [1.0, 5.0], [6.0, 5.0])
    assert mean["of"] == [3, 1]


def test_a_map_has_a_row_for_every_tensor(runs: Any, full: Lines) -> None:
    (norms,) = maps(0, runs(full)[0].history)
    assert norms["names"] == ["1.weight", "1.bias", "head.weight", "head.bias"]
    assert norms["x"] == list(range(10, 210, 10))
    assert norms["z"][0][1] == pytest.approx(0.1 / 20)
    assert norms["z"][3] == [0.0] * 20
    assert norms["log"]


def test_a_map_leaves_cells_empty_where_nothing_was_measured(runs: Any) -> None:
    measures = [{"a": 1.0}, {"a": 1.0, "b": 2.0}, {"b": "nan"}]
    lines = [{"kind": "health", "step": step, "measures": {"m": one}} for step, one in enumerate(measures, 1)]
    (found,) = maps(0, runs(lines)[0].history)
    assert (found["z"], found["lost"]) == ([[1.0, 1.0], [None, 2.0]], 1)


def test_norms_of_step_lines_become_a_map_unless_health_has_them(runs: Any, step_line: Any) -> None:
    lines = [step_line(step, grad_norms={"0.weight": 1.0}) for step in (1, 2)]
    assert [one["title"] for one in maps(0, runs(lines)[0].history)] == ["Gradient norm of each tensor"]


def test_distributions_keep_their_shares_in_common_bins(runs: Any) -> None:
    histograms = [
        {"edges": [-1.0, 0.0, 1.0], "counts": [10, 30]},
        {"edges": [0.0, 1.0, 3.0], "counts": [100, 100]},
        {"edges": [0.0, 1.0], "counts": [0]},
    ]
    lines = [
        {"kind": "distributions", "step": step, "activations": {"1": one}} for step, one in enumerate(histograms, 1)
    ]
    (found,) = distributions(0, runs(lines)[0].history)
    edges, columns = found["edges"], list(zip(*found["z"], strict=True))
    assert len(edges) == BINS + 1
    assert (edges[0], edges[-1]) == (-1.0, 3.0)
    assert [sum(column) for column in columns] == pytest.approx([1.0, 1.0, 0.0], abs=1e-4)
    below = sum(share for share, high in zip(columns[0], edges[1:], strict=True) if high <= 0)
    assert below == pytest.approx(0.25, abs=1e-4)


def test_a_far_outlier_does_not_squeeze_a_distribution(runs: Any) -> None:
    histogram = {"edges": [-1.0, 0.0, 1.0, 1e6], "counts": [50_000, 50_000, 1]}
    lines = [{"kind": "distributions", "step": 1, "activations": {"1": histogram}}]
    (found,) = distributions(0, runs(lines)[0].history)
    assert found["edges"][-1] == 1.0
    assert sum(row[0] for row in found["z"]) == pytest.approx(1.0, abs=1e-4)


def test_constant_values_have_a_distribution(runs: Any) -> None:
    lines = [{"kind": "distributions", "step": 1, "gradients": {"w": {"edges": [0.0, 0.0], "counts": [5]}}}]
    (found,) = distributions(0, runs(lines)[0].history)
    assert found["edges"][0] < 0 < found["edges"][-1]
    json.dumps(found, allow_nan=False)
