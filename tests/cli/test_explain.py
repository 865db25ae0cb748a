"""`gradtrain explain` as a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradtrain.cli import run

CONFIG = """\
name: tiny
seed: 5
data: {source: {moons: {count: 80}}, batch_size: 16}
model: {layers: [{linear: 6}, sigmoid, {linear: 2, name: head}]}
loss: cross_entropy
optimizer: {adam: 1e-2}
training: {epochs: 3}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("tiny.yaml").write_text(CONFIG)


def test_forward_backward_update(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "tiny.yaml"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "\x1b" not in captured.out
    forward, _, rest = captured.out.partition("tiny: backward")
    backward, _, update = rest.partition("update: what moves")
    assert forward.index("moons") < forward.index("sigmoid") < forward.index("head") < forward.index("cross_entropy")
    assert backward.index("cross_entropy") < backward.index("head") < backward.index("sigmoid") < backward.index("0  ")
    assert "→ head.weight 2×6, head.bias 2" in backward
    assert "32 weights in 4 tensors" in update


def test_with_a_batch_it_says_how_far_the_gradient_comes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "tiny.yaml", "--batch"]) == 0
    out = capsys.readouterr().out
    assert "one batch of 16, float32, seed 5: total 0." in out
    assert "In length the gradient falls by" in out
    assert "from `head` to `0`" in " ".join(out.split())
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]
    assert run(["explain", "tiny.yaml", "--batch"]) == 0
    assert capsys.readouterr().out == out


def test_json_with_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "tiny.yaml", "--batch", "--json", "precision=float64"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [stage["name"] for stage in found["networks"][0]["stages"]] == ["0", "1", "head"]
    assert found["batch"][0]["dtype"] == "float64"
    assert run(["explain", "tiny.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["batch"] is None


@pytest.mark.parametrize("options", [[], ["--batch"], ["--json"], ["--batch", "--json"]])
def test_a_config_with_an_error_says_its_problems(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(CONFIG.replace("sigmoid", "sigmoyd").replace("epochs", "epoch"))
    assert run(["explain", "bad.yaml", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "sigmoyd" in captured.err
    assert "bad.yaml" in captured.err


GAME = """\
name: game
data: {source: digits, transforms: [flatten, {normalize: {mean: [0.0], std: [16.0]}}], batch_size: 16}
models:
  generator: {input: 4, layers: [{linear: 64}, tanh]}
  discriminator: {layers: [{linear: 1}]}
objective: {gan: {latent: 4}}
optimizers: {generator: {adam: {lr: 1e-3}}, discriminator: {adam: {lr: 1e-3}}}
training: {epochs: 1}
"""


def test_warnings_stand_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("game.yaml").write_text(GAME)
    assert run(["explain", "game.yaml"]) == 0
    captured = capsys.readouterr()
    assert "warning[data-range]" in captured.err
    assert "generator reads 4" in captured.out
    assert run(["explain", "game.yaml", "--json"]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning["code"] == "data-range"
