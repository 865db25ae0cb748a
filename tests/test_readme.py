"""What the README shows is what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import gradtrain.components.losses.huber as huber
from gradtrain.cli import SUMMARIES
from gradtrain.config.tree import parse, read_file
from gradtrain.config.validate import validated
from gradtrain.explain import explained
from gradtrain.gradcheck.report import blocks as blocks_of
from gradtrain.problems import exit_codes, render
from gradtrain.report.flow import page

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def test_every_command_it_names_exists() -> None:
    named = set(
        re.findall(
            r"gradtrain ([a-z][a-z-]+)\b(?! trains)",
            "\n".join(blocks("sh")) + " ".join(re.findall(r"`gradtrain [^`]+`", README)),
        )
    )
    assert named
    assert named <= set(SUMMARIES)


def test_every_config_it_names_exists() -> None:
    for name in re.findall(r"configs/([\w-]+\.yaml)", README):
        assert (ROOT / "configs" / name).is_file()
    for name in re.findall(r"^\| `([\w-]+)` \|", README.partition("## Results")[2].partition("##")[0], re.M):
        assert (ROOT / "configs" / f"{name}.yaml").is_file()


def test_every_file_it_names_exists() -> None:
    for name in re.findall(r"`(gradtrain/[\w/]+\.py|tests/[\w/]+\.py|gradtrain/[\w/]+/)`", README):
        assert (ROOT / name).exists(), name


def test_the_tour_is_the_shipped_config() -> None:
    (tour,) = blocks("yaml")
    assert parse(tour, "README.md").root.plain() == read_file(ROOT / "configs" / "digits-mlp.yaml").root.plain()


def test_the_component_is_the_real_one() -> None:
    shown = next(block for block in blocks("python") if "class Huber" in block)
    real = Path(huber.__file__).read_text("utf-8")
    assert methods(shown) == {name: body for name, body in methods(real).items() if name in methods(shown)}


def methods(source: str) -> dict[str, str]:
    (record,) = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    functions = [node for node in record.body if isinstance(node, ast.FunctionDef)]
    return {f.name: "\n".join(ast.unparse(line) for line in f.body) for f in functions}


def test_the_error_is_what_a_typo_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = next(block for block in blocks("text") if block.startswith("error[unknown-key]"))
    (tour,) = blocks("yaml")
    monkeypatch.chdir(tmp_path)
    Path("digits.yaml").write_text(tour.replace("clip_norm: 1.0", "clipnorm: 1.0"), "utf-8")
    (problem,) = validated(Path("digits.yaml"))
    assert render(problem) == shown.rstrip("\n")


def test_the_fading_gradient_is_the_one_of_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Line by line; numbers in their form and size only: the last digits are the processor's."""
    shown = next(block for block in blocks("text") if "explain configs/deep-sigmoid.yaml --batch" in block)
    monkeypatch.chdir(ROOT)
    found = explained(Path("configs/deep-sigmoid.yaml"), None, [], batch=True)
    printed = [line.plain.rstrip() for line in page(found.flow, found.measured, 80)]
    lines = "\n".join(printed).splitlines()
    told = {re.sub(r"\d\.\de", "#e", line) for line in lines}
    for line in shown.splitlines()[1:]:
        assert re.sub(r"\d\.\de", "#e", line) in told


def test_the_wrong_derivative_is_named_as_shown() -> None:
    """The README's program, run; numbers to six digits: the last ones are the processor's."""
    program = next(block for block in blocks("python") if "class Mse" in block)
    shown = next(block for block in blocks("text") if block.startswith("fail[gradient of prediction]"))
    known: dict[str, Any] = {}
    exec(compile(program, "README.md", "exec"), known)
    told = "\n".join(blocks_of(known["report"].failures))
    assert coarse(told) == coarse(shown.rstrip("\n"))


def coarse(text: str) -> str:
    return re.sub(r"\d+\.\d+(e[-+]\d+)?", lambda number: f"{float(number[0]):.6g}", " ".join(text.split()))


def test_the_exit_codes_are_those_of_the_problems() -> None:
    told = README.partition("Exit codes: ")[2].partition("with the state saved")[0]
    assert {
        int(code)
        for code in re.findall(r"\b(\d+) (?:done|a check|usage|data|numerical|checkpoint|resources|the run)", told)
    } >= set(exit_codes().values())
