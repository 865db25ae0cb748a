"""A text file with one sample a line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gradtrain.components.datasets import IGNORED, Dataset, Examples, Facts
from gradtrain.components.datasets._files import FileName, resolve
from gradtrain.components.datasets._text import read_lines, refuse_above, refuse_longer, side_by_side
from gradtrain.components.tokenizers import Marked, Tokenizer
from gradtrain.components.tokenizers.bytes import Bytes
from gradtrain.components.tokenizers.chars import Chars
from gradtrain.lazy import torch


class Lines(Dataset):
    """Short texts, one a line (names, words, recipes' titles): a model learns to write such lines.

    value     x = 0, c1, …, cn, 0, …   y = c1, …, cn, 0, -1, …   for a line of the symbols c1 … cn
    shape     x int64 [L], y int64 [L], where L is one more than the longest line
    note      Symbol 0 is the mark that begins and ends a line; the tokenizer's own symbols begin at 1. Targets after
              the end are -1 and do not count.
    """

    cases = [{"path": "names.txt"}, {"path": "names.txt", "tokenizer": Bytes(), "longest": 20}]

    path: FileName
    """The file, relative to where the command is started."""
    tokenizer: Tokenizer = Chars()
    """How a line becomes symbols."""
    longest: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Most symbols in a line."""

    def load(self, base: Path) -> Examples:
        path = resolve(base, self.path)
        lines = read_lines(path)
        learned = self.tokenizer.learn_lines([line.text for line in lines])
        rows = [learned.array(line.text) + 1 for line in lines]
        lengths = [len(row) for row in rows]
        refuse_longer(lines, lengths, self.longest, "make `longest` larger, or shorten the lines")
        width = max(lengths) + 1
        refuse_above(2 * width * len(rows), path)
        x = side_by_side(rows, width, 0).roll(1, dims=1)  # the last column is padding: rolled, it is the first mark
        y = side_by_side(rows, width, IGNORED)
        y[torch.arange(len(rows)), torch.tensor(lengths)] = 0
        vocabulary = Marked(learned, ("\n",))
        facts = Facts(count=len(rows), shape=(width,), vocab=vocabulary.size, vocabulary=vocabulary.plain())
        return Examples({"x": x, "y": y}, facts, files=(path,))
