"""A text file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gradtrain.components.datasets import Dataset, Examples
from gradtrain.components.datasets._files import FileName, resolve
from gradtrain.components.datasets._series import of_text
from gradtrain.components.datasets._text import read_text
from gradtrain.components.tokenizers import Tokenizer
from gradtrain.components.tokenizers.chars import Chars


class Text(Dataset):
    """A text file as one long sequence of symbols, for `data.windows` to cut into samples.

    shape     x int64 [symbols], a series; there is no y: what a window predicts comes after it
    note      UTF-8, with or without a byte-order mark; lines may end in any of the three ways and are read as `\\n`.
    """

    cases = [{"path": "book.txt"}, {"path": "book.txt", "tokenizer": Chars(), "learn": 0.9, "sha256": "0" * 64}]

    path: FileName
    """The file, relative to where the command is started."""
    tokenizer: Tokenizer = Chars()
    """How text becomes symbols."""
    learn: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the text, from its beginning, that the tokenizer learns from: the train split's, or all of it."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The file's SHA-256 in hexadecimal, to be sure that it is the one that was meant."""

    def load(self, base: Path) -> Examples:
        path = resolve(base, self.path)
        text = read_text(path, self.sha256)
        return of_text(text, self.tokenizer, path, max(1, round(self.learn * len(text))))
