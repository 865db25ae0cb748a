"""One symbol a character."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from gradtrain.components.tokenizers import UNREADABLE, Tokenizer, Vocabulary, damaged, only
from gradtrain.components.tokenizers._unknown import unknown_symbol

if TYPE_CHECKING:
    from gradtrain.components.tokenizers import Indices


class _Characters(Vocabulary):
    tokenizer = "chars"

    def __init__(self, symbols: str) -> None:
        import numpy as np

        self.symbols = symbols
        codes = _codes(symbols)
        self._table = np.full(int(codes.max(initial=0)) + 1, -1, dtype=np.int64)
        self._table[codes] = np.arange(len(codes))

    @property
    def size(self) -> int:
        return len(self.symbols)

    def array(self, text: str) -> Indices:
        codes = _codes(text)
        inside = codes < len(self._table)
        indices: Indices = self._table[codes if inside.all() else codes * inside]
        wrong = (indices < 0) | ~inside
        if wrong.any():
            raise unknown_symbol(text, int(wrong.argmax()), self.symbols)
        return indices

    def decode(self, indices: Iterable[int]) -> str:
        symbols, size = self.symbols, len(self.symbols)
        return "".join([symbols[i] if 0 <= i < size else UNREADABLE for i in indices])

    def stored(self) -> dict[str, Any]:
        return {"symbols": self.symbols}

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Self:
        only(stored, "symbols")
        symbols = stored["symbols"]
        if not isinstance(symbols, str) or not symbols or len(set(symbols)) != len(symbols):
            raise damaged("`symbols` is no text of different characters")
        return cls(symbols)


class Chars(Tokenizer):
    """Every character is a symbol; symbols are numbered in the order of their Unicode code points.

    shape     vocabulary: the different characters of the text
    note      A character that the learned text never showed has no index: it is refused, never replaced.
    """

    learns = _Characters
    between = ""

    def learn(self, text: str) -> Vocabulary:
        import numpy as np

        return _Characters("".join(map(chr, np.unique(_codes(text)).tolist())))


def _codes(text: str) -> Any:
    """Code points, uint32: a table look-up encodes a million characters in milliseconds."""
    import numpy as np

    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
