"""gradtrain diagnose CONFIG."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradtrain.cli import run

CONFIG = """
name: moons
device: cpu
data: {source: {moons: {count: 200, noise: 0.2}}, split: {val: 0.2}, batch_size: 20}
model: {layers: [{linear: 16}, relu, {linear: 2}]}
loss: cross_entropy
optimizer: {adam: {lr: 0.01}}
training: {epochs: 20}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "moons.yaml"
    path.write_text(CONFIG)
    return path


def test_the_page(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["diagnose", str(config), "--seconds", "2"]) == 0
    out = capsys.readouterr().out
    for part in ("the first step", "time and memory", "the whole run: about", "learning-rate range test", "own rates"):
        assert part in out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert sorted(path.name for path in config.parent.iterdir()) == ["moons.yaml"]


def test_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", str(config), "--seconds", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"total", "uniform", "gradients", "cost", "sweep", "watched", "findings", "warnings", "seconds"} == set(told)
    assert told["cost"]["steps"] == 160


def test_a_config_that_is_wrong_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(CONFIG.replace("epochs", "epoch"))
    assert run(["diagnose", str(config)]) == 2
    assert "did you mean `epochs`" in capsys.readouterr().err
