"""Characters: their order, their speed, and the refusal of one that is not known."""

from __future__ import annotations

import time

import pytest

from gradtrain.components.tokenizers.chars import Chars


def test_characters_are_numbered_in_sorted_order() -> None:
    learned = Chars().learn("hello\nworld é🎈")
    symbols = sorted(set("hello\nworld é🎈"))
    assert learned.plain() == {"tokenizer": "chars", "symbols": "".join(symbols)}
    assert learned.encode("🎈hé\n") == [symbols.index(c) for c in "🎈hé\n"]


def test_lines_are_learned_without_what_ends_them() -> None:
    assert Chars().learn_lines(["ab", "ca"]).plain()["symbols"] == "abc"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("abXc", ("`X` at position 2", "LATIN CAPITAL LETTER X", "`x`")),
        ("é", ("`é` at position 0", "U+00E9", "`e`")),
        ("ab\U0001f388", ("position 2", "U+1F388")),
        ("a\tb", ("`\\t` at position 1",)),
        ("a\x1b[2J", ("position 1", "U+001B")),
    ],
)
def test_an_unknown_character_is_named_with_its_neighbours(text, says, refused) -> None:
    shown = refused("unknown-symbol", 3, Chars().learn("abcdefgxyz .").encode, text)
    for words in says:
        assert words in shown
    assert "\x1b" not in shown


def test_a_megabyte_takes_a_fraction_of_a_second() -> None:
    text = "The quick brown fox jumps over the lazy dog.\n" * 25_000
    learned = Chars().learn(text)
    began = time.perf_counter()
    indices = learned.array(text)
    assert time.perf_counter() - began < 0.5
    assert len(indices) == len(text)
