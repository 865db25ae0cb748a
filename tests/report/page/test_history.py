"""What is gathered from a journal, and that nothing in it can stop the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gradtrain.report.page.history import MOMENTS, NAMES, History
from gradtrain.report.page.series import SUM

HISTOGRAM = {"edges": [0.0, 1.0, 2.0], "counts": [3, 4]}


def history(tmp_path: Path, lines: list[Any], end: str = "") -> History:
    path = tmp_path / "journal.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + end)
    return History.of(path)


def test_every_kind_of_line_is_gathered(tmp_path: Path, full: list[dict[str, Any]]) -> None:
    found = history(tmp_path, full)
    assert (found.step, found.epoch, found.seconds, found.strange, found.damage) == (200, 1, 20.0, 0, "")
    assert len(found.losses["total"]) == len(found.numbers["lr"]) == 20
    assert set(found.metrics["val"]) == {"loss", "accuracy", "confusion", "f1_by_class"}
    assert found.results["val"]["confusion"] == [[30.0, 2.0], [5.0, 23.0]]
    assert found.measured_at["test"] == 150
    assert list(found.measures["gradient_norm"]) == ["1.weight", "1.bias", "head.weight", "head.bias"]
    assert len(found.scalars["depth_ratio"]) == 20
    assert len(found.distributions["gradients"]["1.weight"].kept) == 20


def test_a_finding_begins_and_ends(tmp_path: Path, full: list[dict[str, Any]]) -> None:
    ended, open_ = history(tmp_path, full).findings
    assert (ended.name, ended.layer, ended.began, ended.ended) == ("vanishing_gradient", "1", 40, 200)
    assert (open_.name, open_.began, open_.ended) == ("dead_units", 180, None)
    assert ended.remedy == "relu, or kaiming"


def test_a_finding_may_begin_again(tmp_path: Path) -> None:
    about = {"kind": "finding", "name": "x", "network": "m", "layer": "1"}
    events = [(1, "began"), (5, "began"), (9, "ended"), (12, "began"), (20, "ended"), (21, "ended")]
    found = history(tmp_path, [{**about, "step": step, "event": event} for step, event in events])
    assert [(one.began, one.ended) for one in found.findings] == [(1, 9), (12, 20)]


def test_evidence_may_be_numbers(tmp_path: Path) -> None:
    line = {"kind": "finding", "step": 1, "event": "began", "evidence": {"share": 0.123456, "of": ["a", 3]}}
    assert history(tmp_path, [line]).findings[0].evidence == "share 0.1235, of a, 3"


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    found = history(tmp_path, [{"kind": "step", "step": 1, "lr": 0.5}], '{"kind": "step", "st')
    assert (found.lines, found.damage) == (1, "")


def test_a_damaged_line_ends_the_history_and_is_said(tmp_path: Path) -> None:
    good = json.dumps({"kind": "step", "step": 1, "lr": 0.5})
    found = history(tmp_path, [], f"{good}\n[1, 2\n{good}\n")
    assert found.lines == 1
    assert "line 2" in found.damage


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"kind": "step"},
        {"kind": "step", "step": "3"},
        {"kind": "step", "step": True},
        {"kind": "step", "step": -1},
        {"kind": "step", "step": 10**30},
        {"kind": ["step"], "step": 1},
        {"kind": {}, "step": 1},
        {"kind": "step", "step": 1, "loss": 3},
        {"kind": "step", "step": 1, "grad_norms": [1]},
        {"kind": "evaluation", "step": 1},
        {"kind": "evaluation", "step": 1, "split": 3, "metrics": {}},
        {"kind": "health", "step": 1, "measures": [1]},
        {"kind": "distributions", "step": 1, "activations": {"a": 3}},
        {"kind": "distributions", "step": 1, "activations": {"a": {"edges": [0, 1], "counts": [1, 2]}}},
        {"kind": "distributions", "step": 1, "activations": {"a": {"edges": [1, 0], "counts": [1]}}},
        {"kind": "distributions", "step": 1, "activations": {"a": {"edges": [0, "nan"], "counts": [1]}}},
        {"kind": "distributions", "step": 1, "activations": {"a": {"edges": [0, 1], "counts": [-1]}}},
        {"kind": "of tomorrow", "step": 1},
    ],
)
def test_what_is_not_understood_is_counted(tmp_path: Path, line: dict[str, Any]) -> None:
    assert history(tmp_path, [line, {"kind": "step", "step": 2, "lr": 0.5}]).strange == 1


def test_numbers_as_texts_are_not_finite(tmp_path: Path) -> None:
    found = history(tmp_path, [{"kind": "step", "step": 3, "loss": {"total": "nan"}, "seconds": None}])
    assert found.losses["total"].lost == [(3, "nan")]


def test_names_and_moments_are_bounded(tmp_path: Path) -> None:
    lines = [
        {"kind": "distributions", "step": s, "activations": {"a": HISTOGRAM}, "gradients": {}} for s in range(1000)
    ]
    many = {f"layer{i}": 1.0 for i in range(NAMES + 50)}
    found = history(tmp_path, [*lines, {"kind": "health", "step": 1, "measures": {"m": many}}])
    assert len(found.measures["m"]) == NAMES
    assert found.left_out == 50
    moments = found.distributions["activations"]["a"]
    assert len(moments.kept) <= MOMENTS
    assert moments.stride == 8
    assert [step for step, _, _ in moments.kept] == list(range(0, 1000, 8))


def test_a_missing_value_in_a_map_is_no_value(tmp_path: Path) -> None:
    lines = [{"kind": "health", "step": s, "measures": {"m": {"a": 1.0, "b": None}}} for s in (1, 2)]
    found = history(tmp_path, lines)
    assert found.measures["m"]["a"].table[:, SUM].tolist() == [1.0, 1.0]
    assert len(found.measures["m"]["b"]) == 0
