"""YAML text to marked tree: what is refused, with its line and column, and what is read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtrain.config.tree import parse, read_file
from gradtrain.problems import Problem, flatten, render

GOOD = [
    (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
    (b"a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    (b'{"a": [1, 2,], "b": {"c": true,},}', {"a": [1, 2], "b": {"c": True}}),
    (b"lr: 0.1 # ok\n", {"lr": 0.1}),
    (b"country: NO\n", {"country": "NO"}),
    (b"on: yes\n", {"on": "yes"}),
    (b"---\na: 1\n...\n", {"a": 1}),
    (b"a: ! x\n", {"a": "x"}),
    (b"? a\n", {"a": None}),
    ('ä: {ö: "\\u00fc"}\n'.encode(), {"ä": {"ö": "ü"}}),
    (b"a: |\n  x\n  y\n", {"a": "x\ny\n"}),
]

LAUGHS = b"a: &a [x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 106)
)

BAD = [
    (b"", "config-empty", None),
    (b"# only a comment\n", "config-empty", None),
    (b"hello\n", "config-not-a-mapping", (1, 1)),
    (b"- a\n- b\n", "config-not-a-mapping", (1, 1)),
    (b"a:\n\t- 1\n", "yaml-syntax", (2, 1)),
    (b"a:\n   b: 1\n  c: 2\n", "yaml-syntax", (3, 3)),
    (b"a: b: c\n", "yaml-syntax", (1, 5)),
    (b"x: 'abc\ny: 1\n", "yaml-syntax", (1, 4)),
    (b"x: [1, 2\ny: 1\n", "yaml-syntax", (1, 4)),
    (b"x: @x\n", "yaml-syntax", (1, 4)),
    (b"x: %x\n", "yaml-syntax", (1, 4)),
    (b"x: *a\n", "yaml-alias", (1, 4)),
    (b"a: 1\n---\nb: 2\n", "yaml-documents", (2, 1)),
    (b"a: 1\nb: 2\na: 3\n", "duplicate-key", (3, 1)),
    (b"x: {a: 1, a: 2}\n", "duplicate-key", (1, 11)),
    (b"a: &x 1\n", "yaml-alias", (1, 4)),
    (b"a: {<<: {b: 1}}\n", "yaml-alias", (1, 5)),
    (b"a: &x [*x]\n", "yaml-alias", (1, 4)),
    (b"x: " + b"[" * 500 + b"\n", "config-limit", (1, 35)),
    (b"x: " + b"[" * 200_000 + b"\n", "config-limit", None),  # libyaml may stop further on, by its own limit
    (b"x: " + b"a" * (1 << 20) + b"\n", "config-limit", None),
    (b"x: [" + b"1," * 100_000 + b"]\n", "config-limit", None),
    (b"x: " + b"9" * 5000 + b"\n", "config-limit", (1, 4)),
    (b"x: " + b"a" * 70_000 + b"\n", "config-limit", (1, 4)),
    (b"x: \xe9\n", "config-encoding", (1, 4)),
    ("x: 1\n".encode("utf-16"), "config-encoding", (1, 1)),
    (b"a: 1\nx: \x00\n", "config-encoding", (2, 4)),
    (b"x: \x1b[31m\n", "config-encoding", (1, 4)),
    (b'x: "\\e[31m"\n', "config-encoding", (1, 4)),
    ("x\u202ey: 1\n".encode(), "config-encoding", (1, 2)),
    ("a:\u00a01\nb: 2\n".encode(), "yaml-syntax", (1, 3)),
    (b"x: !!python/object/apply:os.system [ls]\n", "yaml-tag", (1, 4)),
    (b"x: !foo 1\n", "yaml-tag", (1, 4)),
    (b"x: !!binary aGk=\n", "yaml-tag", (1, 4)),
    (b"x: !!set {a, b}\n", "yaml-tag", (1, 4)),
    (b'x: "\\ud800"\n', "config-encoding", (1, 5)),
    ("# c\u2028b: 1\n".encode(), "config-encoding", (1, 4)),  # libyaml breaks the line here, editors do not
    ('a: 1\u0085b: "x\u0085 y"\n'.encode(), "config-encoding", (1, 5)),
    (b'x: "\\u2029"\n', "config-encoding", (1, 4)),
    ("a: x\ufeffy\n".encode(), "config-encoding", (1, 5)),
    (b"*a : 1\n", "yaml-alias", (1, 1)),
    (b"{a: b}: 1\n", "yaml-key", (1, 1)),
    (b"null: 1\n", "yaml-key", (1, 1)),
    (b"on: 1\nON: 2\non: 3\n", "duplicate-key", (3, 1)),
    ("\u00e4: {\u00f6: 1, \u00f6: 2}\n".encode(), "duplicate-key", (1, 11)),
    (b"x: " + b"{a: " * 40 + b"1" + b"}" * 40 + b"\n", "config-limit", (1, 125)),
    (LAUGHS, "yaml-alias", (1, 4)),
    (b"a: {b: 1\nc: 2\n", "yaml-syntax", (1, 4)),
    (b"x: 'a\n\n  b\n", "yaml-syntax", (1, 4)),
    (b"import os\nprint(os)\n", "yaml-syntax", (1, 1)),
    (b"import os\n\ndef main(): pass\n", "yaml-syntax", (1, 1)),
    (b"1: a\n", "yaml-key", (1, 1)),
    (b"? [1, 2]\n: a\n", "yaml-key", (1, 3)),
    (b"[model]\nlr = 3\n", "yaml-syntax", (1, 1)),
    (b"\x89PNG\r\n\x1a\n\x00\x00", "config-encoding", (1, 1)),
    (b"<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "yaml-syntax", (1, 1)),
]


@pytest.mark.parametrize(("data", "value"), GOOD)
def test_what_is_read(data: bytes, value: object, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(data)
    assert read_file(tmp_path / "c.yaml").root.plain() == value


@pytest.mark.parametrize(("data", "code", "place"), BAD, ids=lambda v: str(v)[:24] if isinstance(v, bytes) else None)
def test_what_is_refused_and_where(data: bytes, code: str, place: tuple[int, int] | None, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(data)
    with pytest.raises((Problem, ExceptionGroup)) as caught:
        read_file(tmp_path / "c.yaml")
    first = next(flatten(caught.value))
    assert first.code == code
    assert first.exit_code == 2
    if place is not None:
        assert first.at is not None
        assert (first.at.line, first.at.column) == place
    shown = render(first)
    assert len(shown) < 2000
    assert all(c.isprintable() or c in "\n\u00a0" for c in shown)


texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | texts.map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    from gradtrain.config.text import decoded

    refused: list[Problem] = []
    try:
        parse(decoded(data, "c.yaml"), "c.yaml")
    except (Problem, ExceptionGroup) as error:
        refused = list(flatten(error))
    assert all(problem.exit_code == 2 for problem in refused)


def test_every_node_knows_its_place() -> None:
    root = parse("a:\n  b: [1, {c: x}]\n", "c.yaml").root
    b = root.value["a"].value["b"]
    assert (b.key.line, b.key.column, b.place.column) == (2, 3, 6)
    c = b.value[1].value["c"]
    assert (c.key.line, c.key.column, c.place.column) == (2, 11, 14)


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("a:\n\t- 1\n", "spaces, not tabs"),
        ("a:\u00a01\nb: 2\n", "no-break space"),
        ("[model]\nlr = 3\n", "looks like TOML"),
        ("import os\n\ndef main(): pass\n", "looks like Python"),
        ("<<<<<<< HEAD\na: 1\n=======\n", "unfinished merge"),
        ("a: b: c\n", "quote a text that contains `: `"),
        ("a: @b\n", "begins with `@`"),
        ("a: `b`\n", "backtick"),
        ("a: [1\n", "indentation, quotes and brackets"),
    ],
)
def test_what_is_no_yaml_comes_with_what_to_do(text: str, help: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        parse(text, "c.yaml")
    assert help in next(flatten(caught.value)).help


def test_a_duplicate_names_both_lines() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        parse("a: 1\nb: 2\na: 3\n", "c.yaml")
    (problem,) = flatten(caught.value)
    assert problem.at is not None
    assert problem.at.line == 3
    assert "line 1" in problem.why


def test_all_problems_come_at_once_and_in_order() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        parse("a: &x 1\nb: !y 2\na: 3\n4: 5\nc: *x\n", "c.yaml")
    assert [(p.code, p.at.line) for p in flatten(caught.value) if p.at] == [
        ("yaml-alias", 1), ("yaml-tag", 2), ("duplicate-key", 3), ("yaml-key", 4), ("yaml-alias", 5),
    ]  # fmt: skip
    assert str(caught.value).startswith("found 5 problems in c.yaml")


@pytest.mark.parametrize("text", ["x: {}", "x: [{}]", "{}", "a: {}"], ids=repr)
@pytest.mark.parametrize("piece", ["[", "1,", "- ", "? ", "{a: "])
def test_a_limit_is_reached_as_soon_in_a_longer_text(text: str, piece: str) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        with pytest.raises((Problem, ExceptionGroup)):
            parse(text.format(count * piece) + "\n", "c.yaml")
        return time.process_time() - began

    assert seconds(400_000) < 20 * seconds(40_000) + 0.1  # what grows with the square takes a hundred times as long


pieces = st.sampled_from(
    [
        "a",
        "b: ",
        "- ",
        "\n",
        "  ",
        ": ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        '"',
        "|",
        ">",
        "&x ",
        "*x",
        "!t ",
        "<<",
        "#",
        "---",
        "...",
        "\t",
        "%",
        "@",
        "\\",
        "é",
        "\u00a0",
        "1",
        "~",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(pieces, max_size=20).map("".join))
def test_what_looks_like_yaml_is_read_or_refused_with_a_place_in_the_text(text: str) -> None:
    try:
        parse(text, "c.yaml")
    except (Problem, ExceptionGroup) as error:
        for problem in flatten(error):
            at = problem.at
            assert at is not None
            if at.line:
                assert at.line <= text.count("\n") + 1
                assert at.text == text.split("\n")[at.line - 1]
                assert 1 <= at.column <= len(at.text) + 1
