"""gradtrain list."""

from __future__ import annotations

import json

import pytest

from gradtrain.cli import run
from gradtrain.registry import everything


def test_json_holds_every_component_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(entry["family"], entry["name"]) for entry in listed] == [(shelf, name) for shelf, name, _ in everything()]
    assert all(entry["summary"].endswith(".") for entry in listed)


def test_json_tells_the_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "losses", "--json"]) == 0
    huber = next(entry for entry in json.loads(capsys.readouterr().out) if entry["name"] == "huber")
    assert huber["main_parameter"] == "delta"
    delta = huber["parameters"][0]
    assert (delta["name"], delta["default"], delta["required"], delta["main"]) == ("delta", 1.0, False, True)
    assert delta["takes"] == "a number greater than 0"
    assert "clip(r, -delta, delta)" in huber["gradient"]


def test_a_pipe_gets_one_line_a_component(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "losses"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["family", "name", "main", "parameter", "what", "it", "is"]
    assert [row.split()[1] for row in rows] == [name for shelf, name, _ in everything() if shelf == "losses"]
