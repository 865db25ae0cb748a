"""Words: their order, their limits, and the symbol for the rest."""

from __future__ import annotations

import pytest

from gradtrain.components.tokenizers.words import Words

TEXT = "the cat saw the dog\nand the dog saw a bird"


def listed(**fields: int) -> list[str]:
    return Words(**fields).learn(TEXT).plain()["words"]


def test_words_are_ordered_by_frequency_and_then_by_the_alphabet() -> None:
    assert listed() == ["the", "dog", "saw", "a", "and", "bird", "cat"]


def test_rare_words_and_words_beyond_the_size_are_unknown() -> None:
    assert listed(min_count=2) == ["the", "dog", "saw"]
    assert listed(size=3) == ["the", "dog"]
    learned = Words(size=3).learn(TEXT)
    assert learned.size == 3
    assert learned.encode("the  bird\tsaw the dog") == [1, 0, 0, 1, 2]
    assert learned.decode([1, 0, 2]) == "the <unk> dog"


def test_unknown_words_that_the_text_spells_out_are_the_same_symbol() -> None:
    learned = Words().learn("<unk> <unk> <unk> a")
    assert learned.plain()["words"] == ["a"]
    assert learned.encode("a <unk>") == [1, 0]


@pytest.mark.parametrize("text", ["", " \n", "<unk>"])
def test_a_text_without_words_leaves_the_unknown_one(text) -> None:
    assert Words().learn(text).size == 1
