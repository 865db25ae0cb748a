"""The whole text of every refusal of the language (tests/config/refusals.txt; messages.txt holds the cross-checks).

`GRADTRAIN_REGENERATE=1 pytest tests/config/test_messages.py` writes them anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import gradtrain.config
from gradtrain.config import words
from gradtrain.config.load import read
from gradtrain.config.templates import write
from gradtrain.problems import Problem, exit_codes, explanation, flatten, render

SNAPSHOT = Path(__file__).with_name("refusals.txt")

LAYERS = "[{linear: 32}, relu, {linear: $data.classes}]"

TEXTS: dict[str, list[str]] = {
    # code: files, each all that a config holds
    "config-empty": ["# nothing yet\n"],
    "config-not-a-mapping": ["- name: a\n", "just a text\n"],
    "config-encoding": ["name: a\x1b[31m\n", "# hidden\u2028name: b\n", 'name: "\\e[31m"\n', "name: \udce9\n"],
    "config-limit": [
        "x: " + "[" * 40 + "\n",
        "seed: 123456789012345678901\n",
        f"x: {'a' * 70_000}\n",
        f"#{' ' * (1 << 20)}\n",
    ],
    "yaml-syntax": [
        "a: b: c\n",
        "a:\n\t- 1\n",
        "a: 'x\nb: 1\n",
        "a: @b\n",
        "[model]\nlr = 3\n",
        "<<<<<<< HEAD\na: 1\n=======\n",
    ],
    "yaml-alias": ["a: &x 1\n", "a: *x\n", "a: {<<: {b: 1}}\n"],
    "yaml-tag": ["a: !!python/object/apply:os.system [ls]\n", "a: !mine 1\n"],
    "yaml-documents": ["a: 1\n---\nb: 2\n"],
    "yaml-key": ["1: a\n", "? [1, 2]\n: a\n"],
    "duplicate-key": ["name: a\nseed: 1\nname: b\n"],
    "leading-zero": ["name: a\nseed: 010\n"],
    "extends-cycle": ["extends: c.yaml\nname: a\n"],
    "config-missing": ["extends: nowhere.yaml\nname: a\n"],
}

CHANGES: dict[str, list[tuple[str, str]]] = {
    # code: replacements in the good config, one after the other
    "unknown-key": [
        ("optimizer:", "optimzer:"), ("sgd: {lr: 0.1}", "sgd: {lrr: 0.1}"), ("{epochs: 2}", "{epochs: 2, patience: 3}"),
        ("{sgd: {lr: 0.1}}", "{sgd: 0.1, group: []}"),
    ],
    "wrong-type": [
        ("lr: 0.1", "lr: '1e-3'"), ("{sgd: {lr: 0.1}}", "\n  sgd:\n    lr: 1,5"), ("epochs: 2", "epochs: 3.0"),
        ("epochs: 2", "epochs: 10_000"), ("batch_size: 64", "shuffle: no"), ("name: good", "name: 1.10"),
        ("{sgd: {lr: 0.1}}", "[sgd]"), ("{epochs: 2}", "3"), ("sgd: {lr: 0.1}", "adam: {betas: [0.9, '0.9']}"),
        (f"model:\n  layers: {LAYERS}", f"model: {LAYERS}"),
    ],
    "wrong-length": [("sgd: {lr: 0.1}", "adam: {betas: [0.9]}"), ("relu,", "{conv: {out: 3, kernel: [1, 2, 3]}},")],
    "not-a-choice": [
        ("{epochs: 2}", "{epochs: 2, on_nonfinite: rolback}"), ("{epochs: 2}", "{epochs: 2, on_nonfinite: [skip]}"),
        ("cross_entropy", "{mse: {reduce: men}}"), ("evaluation:", "precision: fp32\nevaluation:")],
    "bad-name": [("name: good", "name: ../../good")],
    "missing-component": [("cross_entropy", "{weight: 2}")],
    "two-components": [("{sgd: {lr: 0.1}}", "{sgd: 0.1, adam: 1e-3}")],
    "unknown-component": [("relu,", "relux,"), ("sgd:", "Adamm:"), ("model:\n  layers", "model:\n  layer")],
    "unexpected-value": [("relu,", "{relu: 3},")],
    "unknown-argument": [("$data.classes", "$classes"), ("$data.classes", "$out")],
    "block-name": [("model:", "blocks: {conv: {layers: [relu]}}\nmodel:")],
    "block-order": [(f"model:\n  layers: {LAYERS}", "blocks: {a: {layers: [a]}}\nmodel:\n  layers: [a]")],
    "missing-key": [
        ("relu,", "linear,"),
        (f"model:\n  layers: {LAYERS}", "blocks: {a: {args: {n: }, layers: [{linear: $n}]}}\nmodel:\n  layers: [a]"),
    ],
}  # fmt: skip

OVERRIDES: dict[str, list[list[str]]] = {
    "override-form": [["training.epochs"], ["training.epochs=[1"]],
    "override-path": [["training..epochs=1"], ["data.transforms.7=flatten"], ["training.epochs.x=1"]],
    "override-twice": [["seed=1", "seed=2"]],
    "unknown-key": [["optimizer.lrr=1"]],
    "wrong-type": [["training.epochs=1.5"]],
}


def refused(act: Callable[[], object]) -> list[Problem]:
    try:
        act()
    except (Problem, ExceptionGroup) as error:
        return list(flatten(error))
    return []


def of_config(profile: str | None = None, overrides: tuple[str, ...] = ()) -> list[Problem]:
    """What is said of c.yaml; its warnings too."""
    warnings: list[Problem] = []

    def act() -> None:
        config = read(Path("c.yaml"), profile, overrides)
        warnings.extend(config.warnings)
        config.run(None)

    problems = refused(act)
    return [*warnings, *problems]


def one(code: str, problems: list[Problem]) -> Problem:
    """The first problem of that code."""
    matching = [problem for problem in problems if problem.code == code]
    assert matching, (code, problems)
    return matching[0]


def messages(good: str) -> list[tuple[str, Problem]]:
    """(the code that was meant, what was said)."""
    told = []
    for code, texts in TEXTS.items():
        for text in texts:
            Path("c.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
            told.append((code, one(code, of_config())))
    for code, changes in CHANGES.items():
        for old, new in changes:
            assert old in good
            Path("c.yaml").write_text(good.replace(old, new))
            told.append((code, one(code, of_config())))
    Path("c.yaml").write_text(good + "profiles: {fast: {training.epochs: 1.5}}\n")
    for code, lines in OVERRIDES.items():
        told += [(code, one(code, of_config(None, tuple(line)))) for line in lines]
    told.append(("wrong-type", of_config("fast")[0]))
    told.append(("unknown-profile", of_config("fats")[0]))
    told.append(("config-missing", refused(lambda: read(Path("d.yaml")))[0]))
    told.append(("config-missing", refused(lambda: read(Path()))[0]))
    told.append(("file-exists", refused(lambda: write("classify", Path("c.yaml")))[0]))
    told.append(("unknown-template", refused(lambda: write("clasify", Path("e.yaml")))[0]))
    return told


@pytest.fixture
def told(good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Problem]]:
    monkeypatch.chdir(tmp_path)
    return messages(good)


def test_messages_are_those_of_the_snapshot(told: list[tuple[str, Problem]]) -> None:
    shown = "\n\n".join(render(problem) for _, problem in told) + "\n"
    if os.environ.get("GRADTRAIN_REGENERATE"):
        SNAPSHOT.write_text(shown)
    assert shown == SNAPSHOT.read_text()


def test_messages_are_written_as_all_are(told: list[tuple[str, Problem]]) -> None:
    """One sentence without a final period, short lines, no control characters, a page for the code."""
    for code, problem in told:
        assert problem.code == code
        assert not problem.what.endswith(".")
        assert len(problem.what) < 250
        shown = render(problem)
        assert all(c.isprintable() or c == "\n" for c in shown)
        assert explanation(code)


def codes() -> set[str]:
    """Every code that stands in the package's source."""
    source = "\n".join(path.read_text("utf-8") for path in Path(gradtrain.config.__path__[0]).glob("*.py"))
    found = set(re.findall(r"""(?:Problem|\badd)\(\s*(?:code, )?"([a-z-]+)\"""", source))
    return found | set(words.ERROR_TYPES.values()) | {"unknown-key", "two-components"}


def test_every_code_has_a_message_here_or_among_the_cross_checks() -> None:
    texts = [SNAPSHOT.with_name(name).read_text() for name in ("refusals.txt", "messages.txt", "wiring.txt")]
    shown = {code for text in texts for code in re.findall(r"^(?:error|warning)\[([a-z-]+)\]", text, re.M)}
    assert len(codes()) > 50
    assert codes() - shown == set()


def test_every_code_has_its_page() -> None:
    assert codes() <= set(exit_codes())
    # the one that is about the data, foreseen: it is refused alike when the data itself is split
    assert all(exit_codes()[code] == 2 for code in codes())
