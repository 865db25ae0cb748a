"""Words and the same words backwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.datasets.pairs import Pairs
from gradtrain.components.datasets.reversal import Reversal
from gradtrain.components.tokenizers import vocabulary
from gradtrain.components.tokenizers.chars import Chars

SOURCES = [Reversal(train=300, test=100), Reversal(longest=5, shortest=5, letters=10, train=50, test=20, seed=2)]


@pytest.mark.parametrize("source", SOURCES)
def test_samples_are_those_that_pairs_makes_of_the_same_words(source: Reversal, tmp_path: Path) -> None:
    made = source.load(Path())
    words = vocabulary(made.facts.vocabulary)
    texts = [words.decode(row) for row in made.fields["x"][:, : source.longest].tolist()]
    (tmp_path / "words.tsv").write_text("".join(f"{text}\t{text[::-1]}\n" for text in texts))
    read = Pairs(path="words.tsv", tokenizer=Chars()).load(tmp_path)
    assert read.facts.vocabulary == made.facts.vocabulary  # so many words use every letter
    assert all(torch.equal(read.fields[name], made.fields[name]) for name in ("x", "y"))
    assert (read.facts.shape, read.facts.vocab) == (made.facts.shape, made.facts.vocab)
    assert read.facts.source == made.facts.source == source.longest
    assert source.facts() == made.facts


@pytest.mark.parametrize("source", SOURCES)
def test_every_word_stands_once_and_has_a_length_that_was_asked_for(source: Reversal) -> None:
    made = source.load(Path())
    words = made.fields["x"][:, : source.longest]
    assert len(words.unique(dim=0)) == len(words) == source.train + source.test
    lengths = (words != 0).sum(dim=1)
    assert (int(lengths.min()), int(lengths.max())) == (source.shortest, source.longest)
    assert sorted(torch.cat(list(made.splits.values())).tolist()) == list(range(len(words)))
    assert {name: len(of) for name, of in made.splits.items()} == {"train": source.train, "test": source.test}


def test_the_seed_decides() -> None:
    one, same, other = (Reversal(train=50, test=20, seed=s).load(Path()).fields["x"] for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    "fields", [{"longest": 3, "shortest": 4}, {"longest": 2, "letters": 5}, {"letters": 27}, {"letters": 1}]
)
def test_words_that_there_are_not(fields) -> None:
    with pytest.raises(ValidationError):
        Reversal(**fields)
