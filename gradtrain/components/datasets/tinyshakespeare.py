"""Plays by Shakespeare, shipped with gradtrain."""

from __future__ import annotations

import lzma
from pathlib import Path

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._files import named, read_bytes
from gradtrain.components.datasets._series import of_text
from gradtrain.components.datasets._text import decoded
from gradtrain.components.tokenizers import Tokenizer
from gradtrain.components.tokenizers.bytes import Bytes
from gradtrain.components.tokenizers.chars import Chars
from gradtrain.problems import Place, Problem

SIZE = 1_115_394
MEMORY = 16 << 20
"""The most bytes that unpacking may take."""


class Tinyshakespeare(Dataset):
    """A megabyte of Shakespeare's plays as one long sequence of symbols: real text that needs no download.

    paper     Karpathy, char-rnn (github.com/karpathy/char-rnn), a selection of the plays; the text is in the public
              domain
    shape     x int64 [1,115,394] with 65 different characters, a series; there is no y
    """

    cases = [{}, {"tokenizer": Bytes()}]

    tokenizer: Tokenizer = Chars()
    """How text becomes symbols."""

    def facts(self) -> Facts | None:
        vocab = 65 if isinstance(self.tokenizer, Chars) else 256 if isinstance(self.tokenizer, Bytes) else None
        return None if vocab is None else Facts(count=SIZE, shape=(), vocab=vocab, series=True)

    def load(self, base: Path) -> Examples:
        path = Path(__file__).parents[2] / "data" / "tinyshakespeare.txt.xz"
        return of_text(decoded(_unpacked(path), path), self.tokenizer, path)


def _unpacked(path: Path) -> bytes:
    """The text, whose size is known: nothing larger is unpacked. Raises `Problem` (data)."""
    packed = read_bytes(path)
    try:
        codec = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
        data = codec.decompress(packed, max_length=SIZE + 1)
        said = f"{SIZE:,} bytes are expected, {len(data):,} are there"
        whole = len(data) == SIZE and codec.eof
    except lzma.LZMAError as error:
        whole, said = False, str(error)
    if not whole:
        raise Problem("data-format", f"{named(path)} is damaged", Place(str(path)), said, "install gradtrain again")
    return data
