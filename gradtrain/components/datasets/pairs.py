"""Sentences and their translations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from gradtrain.components.datasets import BEGIN, END, IGNORED, PADDING, Dataset, Examples, Facts
from gradtrain.components.datasets._files import FileName, named, resolve
from gradtrain.components.datasets._table import one_character
from gradtrain.components.datasets._text import (
    Line,
    read_lines,
    refuse_above,
    refuse_longer,
    shown_delimiter,
    side_by_side,
)
from gradtrain.components.tokenizers import Marked, Tokenizer
from gradtrain.components.tokenizers.chars import Chars
from gradtrain.components.tokenizers.words import Words
from gradtrain.lazy import torch
from gradtrain.problems import Problem


class Pairs(Dataset):
    """Pairs of texts, one a line: a source, a delimiter, its target; made for translation and other rewriting.

    value     x = s1, …, sm, 0, … | 1, t1, …, tn, 0, …   y = t1, …, tn, 2, -1, …   for the symbols s of a source and t
              of its target
    shape     x int64 [S + T], y int64 [T]: S is the longest source, T one more than the longest target
    note      Source and target share one vocabulary; 0 is padding, 1 begins a target, 2 ends it. S and T stand in the
              vocabulary's `lengths`. Cells after the second one are left out.
    """

    cases = [
        {"path": "eng-fra.tsv"},
        {"path": "dates.csv", "delimiter": ";", "tokenizer": Chars(), "lower": True, "punctuation": True},
    ]

    path: FileName
    """The file, relative to where the command is started."""
    delimiter: Annotated[str, AfterValidator(one_character)] = "\t"
    """What stands between source and target."""
    tokenizer: Tokenizer = Words()
    """How a text becomes symbols."""
    lower: bool = False
    """Turn capital letters into small ones."""
    punctuation: bool = False
    """Put spaces around . , ; : ! ? so that words come without them."""
    longest: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Most symbols in a source or a target."""
    skip_longer: bool = False
    """Leave out the pairs that are longer, instead of refusing them."""

    def load(self, base: Path) -> Examples:
        path = resolve(base, self.path)
        lines = read_lines(path)
        texts = [self._cells(line) for line in lines]
        learned = self.tokenizer.learn_lines(text for pair in texts for text in pair)
        sources, targets = ([learned.array(pair[side]) + END + 1 for pair in texts] for side in (0, 1))
        lengths = [max(len(s), len(t)) for s, t in zip(sources, targets, strict=True)]
        if self.skip_longer:
            kept = [place for place, length in enumerate(lengths) if length <= self.longest]
            lines, lengths = [lines[i] for i in kept], [lengths[i] for i in kept]
            sources, targets = [sources[i] for i in kept], [targets[i] for i in kept]
        refuse_longer(lines, lengths, self.longest, "make `longest` larger, or leave them out with `skip_longer: true`")
        if not lines:
            what, why = (
                f"every pair of {named(path)} is longer than {self.longest} symbols",
                "`skip_longer` left them out",
            )
            raise Problem("data-empty", what, why=why, help="make `longest` larger")
        source = max(map(len, sources))
        target = max(map(len, targets)) + 1
        refuse_above((source + 2 * target) * len(lines), path)
        shifted = side_by_side(targets, target, PADDING).roll(1, dims=1)  # its last column is padding
        shifted[:, 0] = BEGIN
        y = side_by_side(targets, target, IGNORED)
        y[torch.arange(len(y)), torch.tensor([len(t) for t in targets])] = END
        x = torch.cat([side_by_side(sources, source, PADDING), shifted], dim=1)
        vocabulary = Marked(learned, ("", "", ""), {"source": source, "target": target})
        facts = Facts(count=len(x), shape=(source + target,), vocab=vocabulary.size, vocabulary=vocabulary.plain())
        return Examples({"x": x, "y": y}, facts, files=(path,))

    def _cells(self, line: Line) -> tuple[str, str]:
        """Source and target, prepared. Raises `Problem` (data) where one of them is missing."""
        cells = [cell.strip() for cell in line.text.split(self.delimiter)]
        if len(cells) < 2 or not cells[0] or not cells[1]:
            missing = "delimiter" if len(cells) < 2 else "source" if not cells[0] else "target"
            what = f"line {line.number} of {named(line.path)} has no {missing}"
            why = f"a line is a source, {shown_delimiter(self.delimiter)}, and its target"
            help = "write what stands between them as `delimiter:`" if len(cells) < 2 else "remove or complete the line"
            raise Problem("pair-incomplete", what, line.place(), why, help)
        source, target = (self._prepared(cell) for cell in cells[:2])
        return source, target

    def _prepared(self, text: str) -> str:
        text = text.lower() if self.lower else text
        if self.punctuation:
            for mark in ".,;:!?":
                text = text.replace(mark, f" {mark} ")
            text = " ".join(text.split())
        return text
