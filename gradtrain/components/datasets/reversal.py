"""Words to write backwards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gradtrain.components.datasets import BEGIN, END, IGNORED, PADDING, Dataset, Examples, Facts
from gradtrain.components.datasets._generated import Count, Seed, drawn
from gradtrain.lazy import Tensor, torch

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENOUGH = 4
"""There are so many times more words of the greatest length than are drawn, so that drawing them ends."""


class Reversal(Dataset):
    """Random words and the same words backwards: the smallest task of reading one text and writing another.

    value     x = s1, …, sn, 0, … | 1, sn, …, s1, 0, …   y = sn, …, s1, 2, -1, …   for the letters s of a word
    shape     x int64 [2 longest + 1], y int64 [longest + 1]; official splits train and test
    note      Made like the samples of `pairs`: 0 is filling, 1 begins a target, 2 ends it. Lengths are drawn equally
              often; no word occurs twice.
    """

    official: ClassVar[tuple[str, ...]] = ("train", "test")
    cases = [{}, {"longest": 5, "shortest": 5, "letters": 10, "train": 200, "test": 50, "seed": 1}]

    longest: Annotated[int, Field(ge=1, le=1000)] = 8
    """Letters in the longest words."""
    shortest: Annotated[int, Field(ge=1, le=1000)] = 1
    """Letters in the shortest words."""
    letters: Annotated[int, Field(ge=2, le=len(LETTERS))] = len(LETTERS)
    """Different letters."""
    train: Count = 10_000
    """Words in the train split."""
    test: Count = 1_000
    """Words in the test split."""
    seed: Seed = 0
    """Seed of the words."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"the shortest words have {self.shortest} letters, the longest {self.longest}")
        words = self.letters**self.longest
        if words < ENOUGH * (self.train + self.test):
            what = f"{self.train + self.test:,} different words are too many: {self.letters} letters make {words:,}"
            raise ValueError(f"{what} words of {self.longest}; make `longest` or `letters` larger")
        return self

    def facts(self) -> Facts:
        vocabulary = {
            "tokenizer": "chars",
            "symbols": LETTERS[: self.letters],
            "marks": ["", "", ""],
            "lengths": {"source": self.longest, "target": self.longest + 1},
        }
        shape = (2 * self.longest + 1,)
        return Facts(count=self.train + self.test, shape=shape, vocab=END + 1 + self.letters, vocabulary=vocabulary)

    def load(self, base: Path) -> Examples:
        source = self._drawn()
        count, width = source.shape
        length = (source != PADDING).sum(dim=1, keepdim=True)
        place = torch.arange(width)
        backwards = source.gather(1, (length - 1 - place).clamp(min=0)).where(place < length, PADDING)
        x = torch.cat([source, torch.full((count, 1), BEGIN), backwards], dim=1)
        y = torch.cat([backwards.where(place < length, IGNORED), torch.full((count, 1), IGNORED)], dim=1)
        y.scatter_(1, length, END)
        order = torch.arange(count)
        splits = {"train": order[: self.train], "test": order[self.train :]}
        return Examples({"x": x, "y": y}, self.facts(), splits)

    def _drawn(self) -> Tensor:
        """Different words in random order, filled up: [count, longest]."""
        generator, count = drawn(self.seed), self.train + self.test
        found = torch.empty(0, self.longest, dtype=torch.int64)
        while len(found) < count:
            some = torch.randint(END + 1, END + 1 + self.letters, (count, self.longest), generator=generator)
            length = torch.randint(self.shortest, self.longest + 1, (count, 1), generator=generator)
            words = some.where(torch.arange(self.longest) < length, PADDING)
            found = torch.unique(torch.cat([found, words]), dim=0)
        return found[torch.randperm(len(found), generator=generator)[:count]]
