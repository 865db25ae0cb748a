"""gradtrain show."""

from __future__ import annotations

import json

import pytest

from gradtrain.cli import run


def test_a_page_has_the_formula_and_yaml_to_copy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "losses.huber"]) == 0
    out = capsys.readouterr().out
    for part in (
        "clip(r, -delta, delta)",
        "Huber (1964)",
        "loss: {huber: {delta: 1.0, reduce: mean}}",
        "loss: {huber: 0.3}",
        "huber.py",
    ):
        assert part in out


def test_an_activation_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "tanh"]) == 0
    out = capsys.readouterr().out
    assert "f'" in out
    assert "┤" in out
    assert "\x1b" not in out


def test_json_is_the_same_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "huber", "--json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["family"], page["name"]) == ("losses", "huber")
    assert page["yaml"] == "loss: {huber: {delta: 1.0, reduce: mean}}"


def test_a_family_is_sent_to_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "losses"]) == 2
    assert "`gradtrain list losses`" in capsys.readouterr().err
