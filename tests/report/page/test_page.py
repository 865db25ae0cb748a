"""The page as a document: what stands in it, and that nothing from outside becomes an element of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gradtrain.report.page import Recorded, as_json, page, recorded

Lines = list[dict[str, Any]]
VOID = {"meta", "input", "img", "br", "link", "hr", "base", "embed", "source", "area", "col", "wbr", "param", "track"}

PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}",
    "</title><iframe src=//evil.example>",
    "</textarea></pre><base href=//evil.example>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "<a href='https://evil.example'>click</a><br><b>bold</b>",
    "%{customdata}<extra></extra>",
    "\x1b[31m\u202ered\x00\ufeff\x7f",
    "&lt;script&gt;&#60;b&#62;",
]


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page with a word in the place of plotly's five million: test_browser.py has the whole."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "plotly;")


class Document(HTMLParser):
    """The elements of a page as a browser sees them, scripts and styles as their texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("script", "style"):
            self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        here = self.open[-1] if self.open else ""
        if here in ("script", "style") and self.texts:
            self.texts[-1] = (here, self.texts[-1][1] + data)
        else:
            self.texts.append((here, data))

    @property
    def said(self) -> str:
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("script", "style")).split())


def written(*folders: Path) -> tuple[str, Document]:
    text = page(recorded(list(folders)), "2026-01-01 00:00 UTC")
    document = Document(text)
    assert document.open == []
    return text, document


def test_a_full_run_is_shown(made: Callable[..., Path], full: Lines) -> None:
    _, document = written(made("full", full, status={"state": "finished", "step": 200, "reason": "done"}))
    for words in (
        "tiny",
        "finished",
        "done",
        "vanishing gradient",
        "since step 180",
        "saturated units",
        "test accuracy",
    ):
        assert words in document.said
    assert "val f1 by class" in document.said
    assert document.tags["td"] >= 4


def test_only_the_two_scripts_may_run_and_nothing_may_be_loaded(made: Callable[..., Path], full: Lines) -> None:
    _, document = written(made("full", full))
    (policy,) = [value for tag, name, value in document.attributes if name == "content" and "default-src" in value]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data: blob:"
    scripts = [text for tag, text in document.texts if tag == "script"]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts[1:]]
    assert rules["script-src"].split() == hashes
    assert len(scripts) == 3
    assert "unsafe" not in rules["script-src"]
    loading = [(tag, name) for tag, name, _ in document.attributes if name in ("src", "srcset", "action", "data-src")]
    assert loading == []
    assert {value[0] for tag, name, value in document.attributes if name == "href"} == {"#"}


def hostile(made: Callable[..., Path], full: Lines, payload: str, field: str) -> Path:
    """A run with a payload in one of the fields that come from outside."""
    text, files, kept, status = json.dumps(full), {}, {}, {"state": "finished", "reason": "done"}
    spelled = json.dumps(payload)[1:-1]
    config = None
    if field == "config":
        config = f"name: tiny\nnote: {json.dumps(payload)}\n"
    elif field == "labels":
        kept = {"labels": [payload, f"{payload}2"]}
    elif field == "names":
        for name in ("head.weight", "depth_ratio", "gradient_norm", "cross_entropy", '"val"', "accuracy"):
            text = text.replace(name, f'"{spelled}"' if name == '"val"' else f"{spelled} {name}")
    elif field == "findings":
        for name in ("vanishing_gradient", "saturated units", "relu, or kaiming", '"model"'):
            text = text.replace(name, f'"{spelled}"' if name == '"model"' else f"{spelled} {name}")
    elif field == "status":
        status = {"state": payload, "reason": payload, "started": payload}
        files["environment.json"] = json.dumps(
            {"command": [payload], payload: payload, "data": {payload: payload}}
        ).encode()
    else:
        files["samples/step-00000001.txt"] = payload.encode("utf-8", "backslashreplace")
    return made("run", json.loads(text), config=config, files=files, kept=kept, status=status)


@pytest.mark.parametrize("field", ["config", "labels", "names", "findings", "status", "samples"])
@pytest.mark.fault("F65")
@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_from_outside_becomes_an_element(
    made: Callable[..., Path], full: Lines, payload: str, field: str, tmp_path: Path
) -> None:
    text, document = written(hostile(made, full, payload, field))
    harmless = "\x01" if "\x1b" in payload else "harmless"  # a config with control characters is not read at all
    (tmp_path / "plain").mkdir()
    folder = hostile(lambda name, *a, **k: made(f"plain/{name}", *a, **k), full, harmless, field)
    _, plain = written(folder)
    assert document.tags == plain.tags
    names = [(tag, name) for tag, name, _ in document.attributes]
    assert names == [(tag, name) for tag, name, _ in plain.attributes]
    assert not [name for _, name in names if name.startswith("on")]
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202e\ufeff]", text)


def test_json_in_the_page_cannot_end_its_element() -> None:
    value = {"</script>": ["<!--", "&amp;", ">", "\u2028", "\x00"]}
    text = as_json(value)
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == value


def test_a_run_without_anything_says_what_is_missing(made: Callable[..., Path]) -> None:
    folder = made("bare", None, config="name: [broken\n", status={"state": "failed", "reason": "it broke"})
    _, document = written(folder)
    assert "There is no journal" in document.said
    assert "The config cannot be read" in document.said
    assert "it broke" in document.said
    assert "Nothing was found" in document.said


def test_a_status_that_is_no_status(made: Callable[..., Path], full: Lines) -> None:
    folder = made("odd", full, status={"state": ["x"], "step": "many", "reason": {"a": 1}, "started": 3})
    (folder / "environment.json").write_text("[1]")
    _, document = written(folder)
    assert "unknown" in document.said


def test_runs_are_told_apart_and_differences_are_shown(made: Callable[..., Path], full: Lines, config: str) -> None:
    folders = [made(f"r{seed}", full, config=f"{config}seed: {seed}\n") for seed in (1, 2)]
    folders.append(made("other", full, config=config.replace("adam: 1e-2", "adam: 5e-3")))
    _, document = written(*folders)
    assert "3 runs, 1 group of runs that differ in their seed alone" in document.said
    for words in ("r1", "r2", "other", "optimizer.adam", "0.005", "tiny, 2 seeds", "0.95 ± 0"):
        assert words in document.said


def test_runs_of_different_models_stand_side_by_side(made: Callable[..., Path], full: Lines, step_line: Any) -> None:
    lines = [step_line(s, loss={"generator": 1.0, "total": 1.0}, grad_norms={"g.0.weight": 1.0}) for s in (1, 2)]
    _, document = written(made("a", full), made("b", lines, config="name: other\n"), made("c", None))
    assert {"a", "b", "c"} <= set(document.said.split())


def test_the_same_folder_twice(made: Callable[..., Path], full: Lines) -> None:
    folder = made("a", full)
    assert [run.label for run in recorded([folder, folder])] == ["a", "a (2)"]


def test_only_pictures_and_texts_of_the_folder_itself_are_shown(made: Callable[..., Path], tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\nrest"
    (tmp_path / "secret.txt").write_text("a secret")
    samples = {"samples/step-1.png": png, "samples/step-2.png": b"GIF89a", "samples/step-3.txt": b"to be or \xff"}
    folder = made("s", [], files=samples)
    (folder / "samples" / "step-4.txt").symlink_to(tmp_path / "secret.txt")
    text, document = written(folder)
    assert [value for _, name, value in document.attributes if name == "src"] == [
        f"data:image/png;base64,{base64.b64encode(png).decode()}"
    ]
    assert "to be or" in document.said
    assert "a secret" not in text
    assert "1 pictures are left out" in document.said


def test_a_huge_config_and_long_samples_are_cut(made: Callable[..., Path], config: str) -> None:
    note = "".join(f"# {'x' * 100}\n" for _ in range(3000))
    text, document = written(made("huge", [], config=config + note, files={"samples/step-1.txt": b"y" * 10**6}))
    assert len(text) < 300_000
    assert "characters)" in document.said


def test_samples_are_spread_over_the_run(made: Callable[..., Path]) -> None:
    files = {f"samples/step-{step:08d}.txt": b"text" for step in range(0, 3000, 10)}
    (run,) = recorded([made("many", [], files=files)])
    assert [sample.name for sample in run.samples][:: len(run.samples) - 1] == ["step-00002990", "step-00000000"]
    assert len(run.samples) == 12
    assert "Of 300 samples 12 are shown" in run.missing[0]


def test_confusions_are_a_table_and_a_list(made: Callable[..., Path], full: Lines) -> None:
    _, document = written(made("c", full, kept={"labels": ["cat", "dog"]}))
    assert "dog taken for cat : 5, 17.9 % of its class" in document.said
    shares = [value for _, name, value in document.attributes if name == "data-share"]
    assert shares == ["0.938", "0.062", "0.179", "0.821"]


def test_ragged_and_strange_results_are_left_out(made: Callable[..., Path], evaluation_line: Any) -> None:
    odd = {"a": [[1.0], [1.0, 2.0]], "b": [], "c": [{}, 1], "d": "nan", "e": None, "f": [["x"]], "g": [0.5, "nan"]}
    _, document = written(made("odd", [evaluation_line(1, **odd)]))
    assert "val g" in document.said
    assert document.tags["table"] == 1  # the environment's


def test_the_page_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradtrain.problems import Problem

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Problem) as caught:
        page([], "")
    assert (caught.value.code, caught.value.exit_code) == ("extra-missing", 2)
    assert caught.value.help == 'pip install "gradtrain[report]"'


def test_a_run_as_the_page_reads_it(made: Callable[..., Path], full: Lines) -> None:
    (run,) = recorded([made("one", full, kept={"labels": ["a"], "memory": {"best": 0.5, "best_step": 50}})])
    assert isinstance(run, Recorded)
    assert (run.name, run.label, run.labels, run.memory["best_step"]) == ("tiny", "one", ("a",), 50)
    assert run.settings["optimizer.adam"] == 0.01
