"""YAML text to marked tree: what is refused, with its line and column, and what is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtrain.config.scalars import dump
from gradtrain.config.tree import parse, read_file
from gradtrain.problems import Problem, flatten, render

GOOD = [
    (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
    (b"a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    (b'{"a": [1, 2,], "b": {"c": true,},}', {"a": [1, 2], "b": {"c": True}}),
    (b"lr: 0.1 # ok\n", {"lr": 0.1}),
    (b"country: NO\n", {"country": "NO"}),
    (b"on: yes\n", {"on": "yes"}),
]

BAD = [
    (b"", "config-empty", None),
    (b"# only a comment\n", "config-empty", None),
    (b"hello\n", "config-not-a-mapping", (1, 1)),
    (b"- a\n- b\n", "config-not-a-mapping", (1, 1)),
    (b"a:\n\t- 1\n", "yaml-syntax", (2, 1)),
    (b"a:\n   b: 1\n  c: 2\n", "yaml-syntax", (3, 3)),
    (b"a: b: c\n", "yaml-syntax", (1, 5)),
    (b"x: 'abc\ny: 1\n", "yaml-syntax", (1, 4)),
    (b"x: [1, 2\ny: 1\n", "yaml-syntax", (2, 2)),
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
    (b"x: " + b"[" * 200_000 + b"\n", "config-limit", (1, 35)),
    (b"x: " + b"a" * (1 << 20) + b"\n", "config-limit", None),
    (b"x: [" + b"1," * 100_000 + b"]\n", "config-limit", None),
    (b"x: " + b"9" * 5000 + b"\n", "config-limit", (1, 4)),
    (b"x: " + b"a" * 70_000 + b"\n", "config-limit", (1, 4)),
    (b"x: \xe9\n", "config-encoding", (1, 4)),
    ("x: 1\n".encode("utf-16"), "config-encoding", None),
    (b"a: 1\nx: \x00\n", "config-encoding", (2, 4)),
    (b"x: \x1b[31m\n", "config-encoding", (1, 4)),
    (b'x: "\\e[31m"\n', "config-encoding", (1, 4)),
    ("x\u202ey: 1\n".encode(), "config-encoding", (1, 2)),
    ("a:\u00a01\nb: 2\n".encode(), "yaml-syntax", (2, 2)),
    (b"x: !!python/object/apply:os.system [ls]\n", "yaml-tag", (1, 4)),
    (b"x: !foo 1\n", "yaml-tag", (1, 4)),
    (b"x: !!binary aGk=\n", "yaml-tag", (1, 4)),
    (b"1: a\n", "yaml-key", (1, 1)),
    (b"? [1, 2]\n: a\n", "yaml-key", (1, 3)),
    (b"[model]\nlr = 3\n", "yaml-syntax", (2, 1)),
    (b"\x89PNG\r\n\x1a\n\x00\x00", "config-encoding", (1, 1)),
    (b"<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "yaml-syntax", (2, 2)),
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
    assert all(c.isprintable() or c == "\n" for c in shown)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("5e-4", 0.0005),
        ("1E5", 1e5),
        ("1e+3", 1000.0),
        ("1.e3", 1000.0),
        (".5", 0.5),
        ("no", "no"),
        ("NO", "NO"),
        ("off", "off"),
        ("on", "on"),
        ("y", "y"),
        ("tRue", "tRue"),
        ("true", True),
        ("False", False),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1.10", 1.1),
        ("inf", "inf"),
        (".inf", float("inf")),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("", None),
        ("-7", -7),
        ("+7", 7),
        ("1,5", "1,5"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, value: object) -> None:
    got = parse(f"x: {written}\n", "c.yaml").root.plain()["x"]
    assert got == value
    assert type(got) is type(value)


def test_a_leading_zero_is_decimal_and_warned_of() -> None:
    parsed = parse("x: 010\n", "c.yaml")
    assert parsed.root.plain() == {"x": 10}
    assert [w.code for w in parsed.warnings] == ["leading-zero"]


scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(texts, values, min_size=1, max_size=4))
def test_what_is_dumped_is_read_back(data: dict[str, object]) -> None:
    assert parse(dump(data), "c.yaml").root.plain() == data


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
