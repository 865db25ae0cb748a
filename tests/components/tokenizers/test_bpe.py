"""Byte pair encoding: what it learns, that every text comes back, and the refusals."""

from __future__ import annotations

import json
import sys

import pytest

from gradtrain.components.tokenizers import UNREADABLE, vocabulary
from gradtrain.components.tokenizers.bpe import Bpe

TEXT = "low lower lowest newer newest widest\n" * 20


class TestWithTheLibrary:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("tokenizers", reason="the extra `text` is not installed")

    def test_the_most_frequent_pair_is_joined_first(self) -> None:
        """Sennrich, Haddow & Birch (2016): `w e` and `l o` are the most frequent pairs of such a text."""
        learned = Bpe(size=258).learn("ab ab ab ab ac ac\n" * 5)
        assert learned.size == 258
        assert learned.plain()["merges"] == [["Ġ", "a"], ["Ġa", "b"]]  # Ġ is the byte of a space
        assert len(learned.encode(" ab ac")) == 3

    def test_every_text_comes_back(self) -> None:
        learned = Bpe(size=300).learn(TEXT)
        for text in (TEXT, "", "  two  spaces\n\n", "über 🎈 \x00 naïve", "Unseen WORDS, 123!"):
            assert learned.decode(learned.encode(text)) == text
        assert len(learned.encode(TEXT)) < len(TEXT) / 2
        assert learned.decode(learned.encode("a\ud800b")) == "a?b"
        assert learned.decode([-1, 10**6]) == 2 * UNREADABLE

    def test_the_same_text_gives_the_same_pieces_and_plain_gives_them_back(self) -> None:
        learned = Bpe(size=300).learn(TEXT)
        plain = json.loads(json.dumps(learned.plain()))
        assert Bpe(size=300).learn(TEXT).plain() == plain
        assert vocabulary(plain).encode("a newer tower\n") == learned.encode("a newer tower\n")
        assert vocabulary(plain).plain() == plain

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"pieces": ["a", "b"]}, "longer than `pieces`"),
            ({"pieces": ["a", "b"], "merges": []}, "256 bytes"),
            ({"pieces": "abc"}, "`pieces`"),
            ({"merges": [["a", "nonsense"]]}, "is not in `pieces`"),
            ({"merges": [["a"]]}, "pairs of texts"),
            ({"merges": "ab"}, "`merges`"),
            ({"merges": [[1, 2]]}, "pairs of texts"),
            ({"model": {}}, "`model`"),
        ],
    )
    def test_damaged_pieces_are_refused(self, change, says, refused) -> None:
        plain = Bpe(size=300).learn(TEXT).plain() | change
        assert says in refused("vocabulary-damaged", 5, vocabulary, plain)


def test_without_the_library_the_refusal_says_how_to_get_it(refused, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    shown = refused("extra-missing", 2, Bpe().learn, TEXT)
    assert 'pip install "gradtrain[text]"' in shown
