"""`gradtrain replay`: what is printed, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradtrain.cli import run

CONFIG = """
name: diverging
device: cpu
data: {source: {linear: {count: 64}}, batch_size: 8}
model: {layers: [{linear: 8}, relu, {linear: 1}]}
loss: mse
optimizer: {sgd: {lr: 1e4}}
training: {epochs: 8}
"""


def test_a_step_that_was_not_finite_is_not_finite_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)
    assert run(["train", "c.yaml", "--run", "a"]) == 4
    assert "gradtrain replay a" in capfd.readouterr().err
    assert run(["replay", "a"]) == 4
    first, second, third = capfd.readouterr().out.splitlines()
    assert "tried again from the state after step" in first
    assert second == "the loss is inf again"
    assert "gave inf in" in third
    assert run(["replay", "a", "--json"]) == 4
    told = json.loads(capfd.readouterr().out)
    assert told["reproduced"] is True
    assert told["operations"][0]["direction"] == "forward"


def test_a_run_without_a_kept_step_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG)
    assert run(["replay", str(tmp_path)]) == 2
    assert "error[nothing-to-replay]" in capfd.readouterr().err
