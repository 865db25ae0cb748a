"""The family of tokenizers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradtrain.problems import Problem, quote
from gradtrain.registry import Component, find

if TYPE_CHECKING:
    import numpy as np

    Indices = np.ndarray[Any, np.dtype[np.int64]]

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""What an index that means no symbol is decoded to."""

MOST_SYMBOLS = 2_000_000
"""A stored vocabulary that claims more is refused; Unicode has 1.1 million characters."""


class Vocabulary:
    """What a tokenizer learned: symbols and their indices 0..size-1."""

    tokenizer: ClassVar[str]
    """The name of the tokenizer that learned it."""

    @property
    def size(self) -> int:
        """Number of symbols."""
        raise NotImplementedError

    def array(self, text: str) -> Indices:
        """The indices of a text, int64. Raises `Problem` where a symbol is not known."""
        raise NotImplementedError

    def encode(self, text: str) -> list[int]:
        """The indices of a text. Raises `Problem` where a symbol is not known."""
        indices: list[int] = self.array(text).tolist()
        return indices

    def decode(self, indices: Iterable[int]) -> str:
        """The text of indices; those that mean no symbol become U+FFFD."""
        raise NotImplementedError

    def plain(self) -> dict[str, Any]:
        """Itself as data for JSON, the tokenizer's name first; `vocabulary` makes it again."""
        return {"tokenizer": self.tokenizer, **self.stored()}

    def stored(self) -> dict[str, Any]:
        """What `plain` holds besides the tokenizer's name."""
        return {}

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Self:
        """From what `stored` gave, or somebody changed since: raises `Problem` for what does not fit."""
        raise NotImplementedError


class Tokenizer(Component):
    """A tokenizer turns text into indices and back.

    What it learns from a text is a `Vocabulary`. Learning is a pure function of the text: the same text gives the same
    vocabulary on every machine.
    """

    learns: ClassVar[type[Vocabulary]]
    """The kind of vocabulary that `learn` makes."""

    between: ClassVar[str] = "\n"
    """What keeps the symbols of one line apart from those of the next one, while it learns."""

    def learn(self, text: str) -> Vocabulary:
        """The symbols of a text and their order."""
        raise NotImplementedError

    def learn_lines(self, lines: Iterable[str]) -> Vocabulary:
        """The same for samples that are lines without their ends."""
        return self.learn(self.between.join(lines))


class Marked(Vocabulary):
    """A vocabulary with marks before its own symbols: indices 0..marks-1 stand for the beginning, the end, padding.

    A mark is the text that it is decoded to, which may be empty; what is written like a mark is encoded as the mark.
    """

    def __init__(self, inner: Vocabulary, marks: tuple[str, ...], lengths: Mapping[str, int] | None = None) -> None:
        self.inner, self.marks = inner, marks
        self.lengths = dict(lengths or {})
        """Sizes of the parts of a sample, for those who take it apart again."""

    @property
    def size(self) -> int:
        return len(self.marks) + self.inner.size

    def array(self, text: str) -> Indices:
        import numpy as np

        mark = next((mark for mark in self.marks if mark and mark in text), None)
        if mark is None:
            return self.inner.array(text) + len(self.marks)
        pieces, index = [], np.array([self.marks.index(mark)])
        for part in text.split(mark):
            pieces += [self.array(part), index]
        return np.concatenate(pieces[:-1])

    def decode(self, indices: Iterable[int]) -> str:
        text: list[str] = []
        run: list[int] = []
        for index in indices:
            if 0 <= index < len(self.marks):
                text += [self.inner.decode(run), self.marks[index]]
                run = []
            else:
                run.append(index - len(self.marks) if index >= 0 else index)
        return "".join([*text, self.inner.decode(run)])

    def plain(self) -> dict[str, Any]:
        lengths = {"lengths": self.lengths} if self.lengths else {}
        return {**self.inner.plain(), "marks": list(self.marks), **lengths}


def vocabulary(plain: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary that `plain` described. Raises `Problem` (checkpoint): the data may come from anywhere."""
    stored = dict(plain)
    name = stored.pop("tokenizer", None)
    marks, lengths = stored.pop("marks", None), stored.pop("lengths", {})
    try:
        cls = find(Tokenizer, name) if isinstance(name, str) else None
    except KeyError:
        cls = None
    if cls is None:
        raise damaged(f"no tokenizer is named {quote(name)}")
    made = cls.learns.restored(stored)
    if marks is None and not lengths:
        return made
    if not isinstance(marks, list | tuple) or not 1 <= len(marks) <= 16 or not all(isinstance(m, str) for m in marks):
        raise damaged("`marks` is no list of 1 to 16 texts")
    if not isinstance(lengths, Mapping) or not all(type(n) is int and n > 0 for n in lengths.values()):
        raise damaged("`lengths` holds something else than whole numbers above 0")
    return Marked(made, tuple(marks), lengths)


def damaged(why: str) -> Problem:
    """The refusal of a stored vocabulary."""
    help = "use another checkpoint, or train again"
    return Problem("vocabulary-damaged", "the stored vocabulary cannot be used", why=why, help=help)


def only(stored: Mapping[str, Any], *keys: str) -> None:
    """Raises `Problem` when a stored vocabulary has other keys than these."""
    if set(stored) != set(keys):
        expected = ", ".join(f"`{key}`" for key in keys) or "nothing"
        raise damaged(f"it holds {', '.join(quote(k) for k in sorted(map(str, stored))) or 'nothing'}, not {expected}")


def distinct_texts(stored: Mapping[str, Any], key: str) -> list[str]:
    """A stored list of different texts. Raises `Problem` when it is something else."""
    texts = stored[key]
    if not isinstance(texts, list | tuple) or not 1 <= len(texts) <= MOST_SYMBOLS:
        raise damaged(f"{quote(key)} is no list of 1 to {MOST_SYMBOLS:,} texts")
    if not all(isinstance(text, str) and text for text in texts) or len(set(texts)) != len(texts):
        raise damaged(f"{quote(key)} holds something else than different texts")
    if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        raise damaged(f"{quote(key)} holds half a character")  # a surrogate, which JSON can spell and UTF-8 cannot
    return list(texts)


__all__ = ["UNREADABLE", "Marked", "Tokenizer", "Vocabulary", "damaged", "distinct_texts", "only", "vocabulary"]
