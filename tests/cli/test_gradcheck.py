"""gradtrain gradcheck."""

from __future__ import annotations

import json

import pytest

from gradtrain.cli import run
from gradtrain.components.losses.huber import Huber
from gradtrain.lazy import Tensor


def test_a_right_component_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gradcheck", "huber"]) == 0
    out, err = capsys.readouterr()
    assert "huber" in out
    assert err == ""
    assert "\x1b" not in out


def test_a_wrong_derivative_ends_with_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(self: Huber, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        return 2 * g * (prediction - target).clamp(-self.delta, self.delta)

    monkeypatch.setattr(Huber, "gradient", doubled)
    assert run(["gradcheck", "losses.huber"]) == 1
    assert "huber" in capsys.readouterr().out


def test_json_tells_the_seed_and_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gradcheck", "huber", "--json", "--seed", "7"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seed"] == 7
    assert report["ok"] is True


def test_an_unknown_name_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gradcheck", "hubr"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "did you mean `huber`?" in err


def test_a_bad_seed_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gradcheck", "--seed", "abc"]) == 2
    assert capsys.readouterr().err.startswith("error[option-value]: `--seed`")
    assert run(["gradcheck", "--seed"]) == 2
    assert capsys.readouterr().err.startswith("error[option-value]: ")
