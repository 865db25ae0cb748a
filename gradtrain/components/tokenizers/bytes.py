"""One symbol a byte of UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from gradtrain.components.tokenizers import UNREADABLE, Tokenizer, Vocabulary, only

if TYPE_CHECKING:
    from gradtrain.components.tokenizers import Indices


class _Octets(Vocabulary):
    tokenizer = "bytes"

    @property
    def size(self) -> int:
        return 256

    def array(self, text: str) -> Indices:
        import numpy as np

        return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8).astype(np.int64)

    def decode(self, indices: Iterable[int]) -> str:
        beyond = UNREADABLE.encode()
        return b"".join([bytes((i,)) if 0 <= i < 256 else beyond for i in indices]).decode("utf-8", "replace")

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Self:
        only(stored)
        return cls()


class Bytes(Tokenizer):
    """Every byte of the text's UTF-8 form is a symbol: 256 of them serve every language.

    shape     vocabulary: 256
    note      Bytes that a model draws and that are no UTF-8 are shown as U+FFFD.
    """

    learns = _Octets

    def learn(self, text: str) -> Vocabulary:
        return _Octets()
