"""One symbol a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, PositiveInt

from gradtrain.components.tokenizers import UNREADABLE, Tokenizer, Vocabulary, damaged, distinct_texts, only

if TYPE_CHECKING:
    from gradtrain.components.tokenizers import Indices

UNKNOWN = "<unk>"


class _Words(Vocabulary):
    tokenizer = "words"

    def __init__(self, words: Sequence[str]) -> None:
        self.words = (UNKNOWN, *words)
        self._numbers = {word: number for number, word in enumerate(self.words)}

    @property
    def size(self) -> int:
        return len(self.words)

    def array(self, text: str) -> Indices:
        import numpy as np

        return np.array(self.encode(text), dtype=np.int64)

    def encode(self, text: str) -> list[int]:
        numbers = self._numbers
        return [numbers.get(word, 0) for word in text.split()]

    def decode(self, indices: Iterable[int]) -> str:
        words = self.words
        return " ".join([words[i] if 0 <= i < len(words) else UNREADABLE for i in indices])

    def stored(self) -> dict[str, Any]:
        return {"words": list(self.words[1:])}

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Self:
        only(stored, "words")
        words = distinct_texts(stored, "words") if stored["words"] else []
        if any(word == UNKNOWN or word.split() != [word] for word in words):
            raise damaged("`words` holds what is no word, or `<unk>`")
        return cls(words)


class Words(Tokenizer):
    """Every word between white space is a symbol; rare words share the symbol `<unk>`.

    shape     vocabulary: at most `size`
    note      Symbol 0 is `<unk>`; the others are numbered from the most frequent one down, equally frequent ones in
              alphabetical order. White space is not kept: decoded words are joined by single spaces.
    """

    cases = [{}, {"size": 100, "min_count": 2}]

    size: Annotated[int, Field(ge=2, le=1_000_000)] = 10_000
    """Most symbols, `<unk>` included."""
    min_count: PositiveInt = 1
    """Words that occur less often are `<unk>`."""

    learns = _Words

    def learn(self, text: str) -> Vocabulary:
        counts = Counter(text.split())
        del counts[UNKNOWN]  # texts that were prepared elsewhere spell it out
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        return _Words([word for word in ordered[: self.size - 1] if counts[word] >= self.min_count])
