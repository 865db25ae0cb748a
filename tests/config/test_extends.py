"""Configs that build on others: what merges, what replaces, and whose line a problem names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradtrain.config.load import read
from gradtrain.problems import Problem, flatten

BASE = """\
name: base
data: {source: digits, transforms: [flatten, standardize], split: {val: 0.2}, batch_size: 32}
model: {mlp: {hidden: [8, 4], out: $data.classes}}
loss: cross_entropy
optimizer: {adam: {lr: 1e-3, weight_decay: 0.1}}
training: {epochs: 2, ema: 0.9}
profiles:
  fast: {training.epochs: 1}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def resolved(files: Path, above: str, name: str = "above.yaml", **options: Any) -> dict[str, Any]:
    (files / name).parent.mkdir(exist_ok=True)
    (files / name).write_text(above)
    config = read(files / name, **options)
    config.run(None)
    return config.resolved()


def test_mappings_merge_lists_and_components_replace(files: Path) -> None:
    above = (
        "extends: base.yaml\nname: above\ndata: {batch_size: 8, transforms: [flatten]}\noptimizer: {sgd: {lr: 0.1}}\n"
    )
    config = resolved(files, above)
    assert config["name"] == "above"
    assert config["data"] == {"source": "digits", "transforms": ["flatten"], "split": {"val": 0.2}, "batch_size": 8}
    assert config["optimizer"] == {"sgd": {"lr": 0.1}}
    assert config["training"] == {"epochs": 2, "ema": 0.9}
    assert "extends" not in config


def test_a_component_replaces_one_of_the_same_name(files: Path) -> None:
    """Otherwise a parameter of the base would stay where nobody looks for it."""
    assert resolved(files, "extends: base.yaml\noptimizer: {adam: {lr: 1.0}}\n")["optimizer"] == {"adam": {"lr": 1.0}}


def test_a_value_can_be_taken_back(files: Path) -> None:
    assert resolved(files, "extends: base.yaml\ntraining: {ema: null}\n")["training"] == {"epochs": 2, "ema": None}


def test_bases_have_bases_and_paths_are_relative_to_the_file(files: Path) -> None:
    (files / "middle.yaml").write_text("extends: base.yaml\ndata: {batch_size: 16, shuffle: false}\n")
    config = resolved(files, "extends: ../middle.yaml\ndata: {batch_size: 4}\n", "deep/above.yaml")
    assert (config["data"]["batch_size"], config["data"]["shuffle"], config["name"]) == (4, False, "base")


def test_profiles_and_overrides_come_after_the_bases(files: Path) -> None:
    above = "extends: base.yaml\ntraining: {epochs: 9}\n"
    assert resolved(files, above, profile="fast")["training"]["epochs"] == 1
    assert resolved(files, above, profile="fast", overrides=["training.epochs=5"])["training"]["epochs"] == 5


def test_profiles_of_both_files_can_be_chosen(files: Path) -> None:
    above = "extends: base.yaml\nprofiles: {slow: {training.epochs: 99}}\n"
    assert resolved(files, above, profile="slow")["training"]["epochs"] == 99
    assert resolved(files, above, profile="fast")["training"]["epochs"] == 1


@pytest.mark.parametrize(
    ("change", "above", "place"),
    [
        (("epochs: 2", "epochs: -2"), "extends: base.yaml\n", ("base.yaml", 6, 20)),
        (("epochs: 2", "epochs: 2"), "extends: base.yaml\ntraining:\n  epochs: -2\n", ("above.yaml", 3, 11)),
        (("batch_size: 32", "batchsize: 32"), "extends: base.yaml\ndata: {shuffle: true}\n", ("base.yaml", 2, 79)),
        (("loss: cross_entropy", "loss: [cross_entropy"), "extends: base.yaml\n", ("base.yaml", 4, 7)),
    ],
)
def test_a_problem_names_the_file_that_it_was_written_in(
    files: Path, change: tuple[str, str], above: str, place: tuple[str, int, int]
) -> None:
    (files / "base.yaml").write_text(BASE.replace(*change))
    with pytest.raises(ExceptionGroup) as caught:
        resolved(files, above)
    (problem,) = flatten(caught.value)
    assert problem.at is not None
    assert (Path(problem.at.file).name, problem.at.line, problem.at.column) == place


@pytest.mark.parametrize(
    ("above", "code", "help"),
    [
        ("extends: above.yaml\n", "extends-cycle", ""),
        ("extends: ./above.yaml\n", "extends-cycle", ""),
        ("extends: nowhere.yaml\n", "config-missing", ""),
        ("extends: bsae.yaml\n", "config-missing", "base.yaml"),
        ("extends: .\n", "bad-value", ".yaml"),
        ("extends: 3\n", "wrong-type", ""),
        ("extends: [base.yaml]\n", "wrong-type", ""),
        ("extends: latin.yaml\n", "config-encoding", ""),
        ("extends: base.bin\n", "bad-value", ".yaml"),
        ("extends: linked.yaml\n", "bad-value", ".yaml"),
        ("extends: /etc/passwd\n", "bad-value", ".yaml"),
    ],
)
def test_a_base_that_cannot_be_read_is_pointed_at(files: Path, above: str, code: str, help: str) -> None:
    for name in ("base.bin", "latin.yaml"):
        (files / name).write_bytes(b"a: \xff\n")
    (files / "linked.yaml").symlink_to(files / "base.bin")
    with pytest.raises(Problem) as caught:
        resolved(files, above)
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    assert help in caught.value.help
    assert caught.value.at is not None
    assert (Path(caught.value.at.file).name, caught.value.at.line, caught.value.at.column) == ("above.yaml", 1, 10)


def test_two_files_that_extend_each_other_are_refused(files: Path) -> None:
    (files / "base.yaml").write_text("extends: above.yaml\nname: x\n")
    with pytest.raises(Problem) as caught:
        resolved(files, "extends: base.yaml\n")
    assert caught.value.code == "extends-cycle"
