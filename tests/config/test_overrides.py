from __future__ import annotations

from pathlib import Path

import pytest

from gradtrain.config.load import read
from gradtrain.problems import Problem, flatten

BASE = """\
name: base
data: {source: digits, transforms: [flatten, standardize], split: {val: 0.2}, batch_size: 32}
model: {mlp: {hidden: [8, 4], out: $data.classes}}
loss: cross_entropy
optimizer: {adam: 1e-3}
training: {epochs: 2}
profiles:
  fast: {training.epochs: 1, model.hidden: [2]}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path / "base.yaml"


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.epochs=7", ("training", "epochs"), 7),
        ("optimizer.adam.lr=0.1", ("optimizer", "adam", "lr"), 0.1),
        ("optimizer.lr=1e-4", ("optimizer", "adam", "lr"), 1e-4),  # the component's name may be skipped
        ("optimizer.betas=[0.8, 0.9]", ("optimizer", "adam", "betas"), [0.8, 0.9]),
        ("loss.label_smoothing=0.1", ("loss", "cross_entropy", "label_smoothing"), 0.1),  # a bare name takes parameters
        ("model.mlp.hidden.0=16", ("model", "mlp", "hidden", "0"), 16),
        ("model.dropout=0.5", ("model", "mlp", "dropout"), 0.5),
        ("seed=3", ("seed",), 3),  # a key that the file leaves at its default
        ("checkpoint.keep=5", ("checkpoint", "keep"), 5),
        ("data.source={moons: {count: 50}}", ("data", "source"), {"moons": {"count": 50}}),
        ("name=no", ("name",), "no"),  # YAML 1.2: a text
        ("training.epochs=null", ("training", "epochs"), None),
    ],
)
def test_an_override_sets_one_place(base: Path, override: str, path: tuple[str, ...], value: object) -> None:
    node = read(base, None, [override]).resolved()
    for key in path:
        node = node[int(key)] if isinstance(node, list) else node[key]
    assert node == value


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        (["training.epochs"], "override-form"),
        (["training.epochs=[1"], "override-form"),
        (["training..epochs=1"], "override-path"),
        (["training.epochs.x=1"], "override-path"),
        (["data.transforms.7=flatten"], "override-path"),
        (["seed=1", "seed=2"], "override-twice"),
    ],
)
def test_a_bad_override_is_pointed_at_on_the_command_line(base: Path, overrides: list[str], code: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        read(base, None, overrides)
    (problem,) = flatten(caught.value)
    assert problem.code == code
    assert problem.at is not None
    assert problem.at.file == "command line"


def test_an_unknown_key_and_a_wrong_value_are_pointed_at_on_the_command_line(base: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        read(base, None, ["optimizer.lrr=1", "training.epochs=1.5"]).run(None)
    found = {p.code: p for p in flatten(caught.value)}
    assert set(found) == {"unknown-key", "wrong-type"}
    assert all(p.at is not None and p.at.file == "command line" for p in found.values())
    assert "did you mean `lr`?" in found["unknown-key"].help


def test_a_profile_sets_its_paths(base: Path) -> None:
    config = read(base, "fast").resolved()
    assert (config["training"]["epochs"], config["model"]["mlp"]["hidden"]) == (1, [2])
    assert "profiles" not in config


def test_the_command_line_wins_over_the_profile(base: Path) -> None:
    assert read(base, "fast", ["training.epochs=9"]).resolved()["training"]["epochs"] == 9


def test_an_unknown_profile_is_refused(base: Path) -> None:
    with pytest.raises(Problem) as caught:
        read(base, "fats")
    assert caught.value.code == "unknown-profile"
    assert "did you mean `fast`?" in caught.value.help
