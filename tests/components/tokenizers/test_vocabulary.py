"""What every vocabulary keeps: text there and back, its data form, and refusals of data that was tampered with."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtrain.components.tokenizers import UNREADABLE, Marked, Tokenizer, vocabulary
from gradtrain.components.tokenizers.bytes import Bytes
from gradtrain.components.tokenizers.chars import Chars
from gradtrain.components.tokenizers.words import Words
from gradtrain.problems import Problem
from gradtrain.registry import find, names

PLAIN = [Chars(), Bytes(), Words()]
TEXT = "To be, or not to be:\nthat is the question.\n" * 3


def test_every_tokenizer_names_its_vocabulary_as_itself() -> None:
    for name in names(Tokenizer):
        assert find(Tokenizer, name).learns.tokenizer == name


@pytest.mark.parametrize("tokenizer", PLAIN, ids=lambda t: t.name())
class TestEveryone:
    def test_plain_survives_json_and_begins_with_the_name(self, tokenizer) -> None:
        learned = tokenizer.learn(TEXT)
        plain = learned.plain()
        back = vocabulary(json.loads(json.dumps(plain)))
        assert next(iter(plain.items())) == ("tokenizer", tokenizer.name())
        assert back.plain() == plain
        assert back.size == learned.size
        assert back.encode(TEXT) == learned.encode(TEXT)

    def test_indices_are_below_the_size_and_come_in_both_forms(self, tokenizer) -> None:
        learned = tokenizer.learn(TEXT)
        indices = learned.encode(TEXT)
        assert all(type(i) is int and 0 <= i < learned.size for i in indices)
        assert learned.array(TEXT).tolist() == indices
        assert learned.array(TEXT).dtype == "int64"
        assert learned.encode("") == []

    def test_what_means_no_symbol_is_shown_as_unreadable(self, tokenizer) -> None:
        learned = tokenizer.learn(TEXT)
        assert learned.decode([]) == ""
        assert learned.decode([-1, learned.size]).replace(" ", "") == UNREADABLE * 2


@given(st.text(max_size=50))
def test_characters_and_bytes_come_back_as_they_were(text) -> None:
    for tokenizer in (Chars(), Bytes()):
        learned = tokenizer.learn(text)
        assert learned.decode(learned.encode(text)) == text


@given(st.text(alphabet="ab\n|", max_size=30))
def test_marks_come_back_as_they_were(text) -> None:
    marked = Marked(Chars().learn("ab"), ("\n", "|"))
    indices = marked.encode(text)
    assert marked.decode(indices) == text
    assert [i for i in indices if i < 2] == [("\n|").index(c) for c in text if c in "\n|"]


def test_marks_stand_before_the_symbols() -> None:
    marked = Marked(Chars().learn("abc"), ("", "", "\n"), {"source": 4, "target": 5})
    assert marked.size == 6
    assert marked.encode("ab\nc") == [3, 4, 2, 5]
    assert marked.decode([1, 3, 4, 2, 0, 0]) == "ab\n"
    assert marked.decode([-1, 6, 3]) == 2 * UNREADABLE + "a"
    plain = marked.plain()
    assert plain == {
        "tokenizer": "chars", "symbols": "abc", "marks": ["", "", "\n"], "lengths": {"source": 4, "target": 5},
    }  # fmt: skip
    assert vocabulary(plain).plain() == plain


DAMAGED = [
    ({}, "no tokenizer is named `null`"),
    ({"tokenizer": 3}, "no tokenizer is named `3`"),
    ({"tokenizer": "os"}, "`os`"),
    ({"tokenizer": "_unknown"}, "`_unknown`"),
    ({"tokenizer": "../chars"}, "`../chars`"),
    ({"tokenizer": "chars"}, "nothing"),
    ({"tokenizer": "chars", "symbols": ""}, "`symbols`"),
    ({"tokenizer": "chars", "symbols": "aba"}, "different characters"),
    ({"tokenizer": "chars", "symbols": ["a"]}, "`symbols`"),
    ({"tokenizer": "chars", "symbols": "ab", "more": 1}, "`more`"),
    ({"tokenizer": "bytes", "symbols": "ab"}, "`symbols`"),
    ({"tokenizer": "words", "words": "ab"}, "`words`"),
    ({"tokenizer": "words", "words": {"a": 1}}, "`words`"),
    ({"tokenizer": "words", "words": ["a", "a"]}, "different texts"),
    ({"tokenizer": "words", "words": ["a", 3]}, "different texts"),
    ({"tokenizer": "words", "words": ["a b"]}, "no word"),
    ({"tokenizer": "words", "words": ["a\ud800"]}, "half a character"),
    ({"tokenizer": "words", "words": ["<unk>"]}, "no word"),
    ({"tokenizer": "bytes", "marks": []}, "`marks`"),
    ({"tokenizer": "bytes", "marks": "ab"}, "`marks`"),
    ({"tokenizer": "bytes", "marks": [0]}, "`marks`"),
    ({"tokenizer": "bytes", "lengths": {"source": 3}}, "`marks`"),
    ({"tokenizer": "bytes", "marks": ["\n"], "lengths": {"source": -3}}, "`lengths`"),
    ({"tokenizer": "bytes", "marks": ["\n"], "lengths": {"source": True}}, "`lengths`"),
    ({"tokenizer": "bytes", "marks": ["\n"], "lengths": [1]}, "`lengths`"),
]


@pytest.mark.parametrize(("plain", "says"), DAMAGED)
def test_a_damaged_vocabulary_is_refused(plain, says, refused) -> None:
    assert says in refused("vocabulary-damaged", 5, vocabulary, plain)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {"tokenizer": st.sampled_from(["chars", "bytes", "words"])},
        optional={"symbols": VALUES, "words": VALUES, "marks": VALUES, "lengths": VALUES},
    )
)
def test_whatever_was_stored_is_used_or_refused(plain) -> None:
    refused = ""
    try:
        made = vocabulary(plain)
        made.decode(range(made.size))
    except Problem as problem:
        refused = problem.code
    assert refused in ("", "vocabulary-damaged")
