"""gradtrain gradcheck."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gradtrain import registry
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


PART = '''
from typing import ClassVar

from gradtrain import Activation
from gradtrain.lazy import Tensor


class Cube(Activation):
    """The third power of every number.

    value     y = x³
    gradient  dx = 3 x² g
    paper     none
    """

    def forward(self, x: Tensor) -> Tensor:
        return x**3

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x * x * x

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> dict[str, Tensor]:
        return {"x": FACTOR * x**2 * g}
'''

CONFIG = """
name: moons
data:
  source: {moons: {count: 100}}
  target: {kind: pm1}
  batch_size: full
model: {layers: [{linear: 8}, tanh, {linear: 1}]}
loss: hinge
optimizer: {sgd: {lr: 0.1}}
training: {steps: 5}
"""


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a file of components; what a command registers of it is forgotten afterwards."""
    monkeypatch.setattr(registry, "_plugins", {})

    def write(factor: str) -> str:
        path = tmp_path / f"mine{factor}.py"
        path.write_text(PART.replace("FACTOR", factor), "utf-8")
        return str(path)

    return write


def test_a_file_is_not_imported_without_consent(part, tmp_path, capsys):
    marker = tmp_path / "imported"
    path = tmp_path / "loud.py"
    path.write_text(f"open({str(marker)!r}, 'w')\n", "utf-8")
    assert run(["gradcheck", str(path)]) == 2
    said = capsys.readouterr().err
    assert "code-not-allowed" in said
    assert hashlib.sha256(path.read_bytes()).hexdigest() in said
    assert "--allow-code" in said
    assert not marker.exists()


def test_components_of_a_file_are_proven_like_ours(part, capsys):
    assert run(["gradcheck", part("3"), "--allow-code"]) == 0
    assert "mine3.cube" in capsys.readouterr().out


def test_a_wrong_component_of_a_file_is_named(part, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    junit = tmp_path / "found.xml"
    path = part("2")
    assert run(["gradcheck", path, "--allow-code", "--junit", str(junit)]) == 1
    out = capsys.readouterr().out
    assert "fail[gradient of x]: activations.mine2.cube" in out
    (line,) = [line for line in out.splitlines() if line.startswith("::error ")]
    assert f"file={path}" in line.replace("%3A", ":").replace("%2C", ",")
    suites = ElementTree.parse(junit).getroot()
    assert int(suites.get("failures")) > 0
    assert {case.get("name") for case in suites.iter("testcase") if case.find("failure") is not None} >= {
        "gradient of x"
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [("raise RuntimeError('no')", "plugin-broken"), ("x = 1", "no-components"), ("def f(:", "plugin-broken")],
)
def test_a_file_that_holds_no_component_is_refused(text, code, tmp_path, capsys):
    path = tmp_path / "empty.py"
    path.write_text(text, "utf-8")
    assert run(["gradcheck", str(path), "--allow-code"]) == 2
    assert f"error[{code}]" in capsys.readouterr().err


def test_a_config_is_proven_tensor_by_tensor(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("moons.yaml").write_text(CONFIG, "utf-8")
    assert run(["gradcheck", "moons.yaml", "seed=3", "--order", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    found = {finding["check"]: finding for finding in said["findings"]}
    assert {f"gradient of {n}" for n in ("0.weight", "0.bias", "2.weight", "2.bias")} <= found.keys()
    assert found["gradient of 0.weight"]["point"] == "[8, 2] float64"
    assert all(finding["verdict"] == "pass" for finding in found.values())
    assert not list(tmp_path.glob("runs"))


def test_a_typo_in_a_config_is_said_as_everywhere(tmp_path, capsys):
    path = tmp_path / "typo.yaml"
    path.write_text(CONFIG.replace("loss:", "lsos:"), "utf-8")
    assert run(["gradcheck", str(path)]) == 2
    assert f"{path}:8:1" in capsys.readouterr().err


def test_values_without_a_config_are_refused(capsys):
    assert run(["gradcheck", "huber", "seed=3"]) == 2
    assert "no-config" in capsys.readouterr().err


def test_what_is_not_looked_at_fails_under_strict_only(capsys):
    assert run(["gradcheck", "huber", "mse", "--budget", "0"]) == 0
    assert "unresolved" in capsys.readouterr().out
    assert run(["gradcheck", "huber", "mse", "--budget", "0", "--strict"]) == 1


def test_a_junit_file_that_cannot_be_written_is_a_problem(tmp_path, capsys):
    assert run(["gradcheck", "mse", "--junit", str(tmp_path / "no" / "such.xml")]) == 6
    assert "not-writable" in capsys.readouterr().err
