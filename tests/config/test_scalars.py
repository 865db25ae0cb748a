"""YAML 1.2 core scalars: what a plain text means, and that what is dumped is read back."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtrain.config.scalars import dump, plain_scalar
from gradtrain.config.tree import parse

MEANT = [
    # numbers that YAML 1.1 reads as texts
    ("1e-3", 0.001), ("5e-4", 0.0005), ("1e3", 1000.0), ("1E5", 1e5), ("1e+3", 1000.0), ("1.e3", 1000.0), ("0o10", 8),
    # numbers in both
    ("1.0e-3", 0.001), ("1.0e+3", 1000.0), ("1.10", 1.1), (".5", 0.5), ("5.", 5.0), ("-7", -7), ("+7", 7),
    ("0", 0), ("-0", 0),
    (".inf", math.inf), ("-.inf", -math.inf), ("+.INF", math.inf), ("0x1F", 31), ("9223372036854775807", 2**63 - 1),
    # texts that YAML 1.1 reads as truth values, sexagesimal numbers, dates, numbers with separators
    ("no", "no"), ("NO", "NO"), ("off", "off"), ("on", "on"), ("yes", "yes"),
    ("12:30", "12:30"), ("1:30:00", "1:30:00"),
    ("2024-01-01", "2024-01-01"), ("1_000", "1_000"), ("0b11", "0b11"), ("=", "="),
    # texts in both
    ("y", "y"), ("tRue", "tRue"), ("inf", "inf"), ("nan", "nan"), ("1,5", "1,5"), ("e3", "e3"),
    ("1e", "1e"), ("0xg", "0xg"), (".", "."),
    ("-", "-"), ("+.nan", "+.nan"), ("1.2.3", "1.2.3"), ("−1", "−1"), ("１", "１"),
    # truth values and nothing
    ("true", True), ("False", False), ("TRUE", True), ("~", None), ("null", None), ("Null", None), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("written", "value"), MEANT, ids=lambda v: repr(v))
def test_a_plain_text_means(written: str, value: object) -> None:
    got = plain_scalar(written)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize("written", [".nan", ".NaN", ".NAN"])
def test_not_a_number_is_a_number(written: str) -> None:
    assert math.isnan(plain_scalar(written))


@pytest.mark.parametrize("written", ["010", "-010", "00", "007"])
def test_a_leading_zero_is_decimal_and_warned_of(written: str) -> None:
    parsed = parse(f"x: {written}\n", "c.yaml")
    assert parsed.root.plain() == {"x": int(written)}
    assert [(w.code, w.severity) for w in parsed.warnings] == [("leading-zero", "warning")]


@pytest.mark.parametrize("written", ["9223372036854775808", "-9223372036854775809", "9" * 5000, "0x8000000000000000"])
def test_an_integer_beyond_64_bits_is_never_rounded(written: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        parse(f"x: {written}\n", "c.yaml")
    assert [p.code for p in caught.value.exceptions] == ["config-limit"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("written", [w for w, _ in MEANT if w not in ("", "=", "-")])
def test_quotes_make_a_text(written: str) -> None:
    root = parse(f"a: '{written}'\nb: \"{written}\"\n", "c.yaml").root
    assert root.plain() == {"a": written, "b": written}


lookalikes = st.sampled_from(
    [written for written, _ in MEANT] + ["010", ".nan", "<<", "- a", "a: b", "#", "$x", "|", "'", '"', "[", "\n", "\t"]
)
texts = (
    st.text(
        st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"), exclude_characters="\ufeff"), max_size=12
    )
    | lookalikes
)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def same(one: object, other: object) -> bool:
    """Equal, and of the same types: 1 is neither 1.0 nor true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(texts, values, min_size=1, max_size=4))
def test_what_is_dumped_is_read_back(data: dict[str, object]) -> None:
    assert same(parse(dump(data), "c.yaml").root.plain(), data)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,6}", fullmatch=True),
        st.integers(0, 99) | st.from_regex(r"[b-m]{3,9}", fullmatch=True),
        min_size=1,
    )
)
def test_other_readers_agree_on_what_is_plain(data: dict[str, object]) -> None:
    text = dump(data)
    plain = {key: value for key, value in data.items() if key not in ("on", "off", "no", "yes")}
    assert {key: value for key, value in yaml.safe_load(text).items() if key in plain} == plain
