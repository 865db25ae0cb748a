"""Sequences to put in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gradtrain.components.datasets import IGNORED, Dataset, Examples, Facts
from gradtrain.components.datasets._generated import Seed, drawn
from gradtrain.lazy import Tensor, torch

NAMES = "0123456789abcdefghijklmnopqrstuvwxyz"
FEWEST = 16
"""Different sequences that there must be, for both splits to have some."""

Drawn = Annotated[int, Field(ge=1, le=100_000_000)]


class Sort(Dataset):
    """Sequences of symbols, followed by the same symbols in order: a small task that only attention to all solves.

    value     the row s1 … sn, then s sorted;  a quarter of all sequences, chosen by a hash of s, is for the test alone
    paper     the task of the demo notebook in minGPT (github.com/karpathy/minGPT)
    shape     x int64 [2 length - 1], all but the last symbol of the row; y int64 [2 length - 1], all but the first, and
              -1 where the next symbol belongs to s; official splits train and test
    note      Sequences are drawn with replacement; none of the test split occurs in the train split.
    """

    official: ClassVar[tuple[str, ...]] = ("train", "test")
    cases = [{}, {"length": 4, "symbols": 10, "train": 200, "test": 50, "seed": 1}]

    length: Annotated[int, Field(ge=2, le=1000)] = 6
    """Symbols in a sequence."""
    symbols: Annotated[int, Field(ge=2, le=len(NAMES))] = 3
    """Different symbols."""
    train: Drawn = 10_000
    """Sequences in the train split."""
    test: Drawn = 5_000
    """Sequences in the test split."""
    seed: Seed = 0
    """Seed of the sequences."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.symbols**self.length < FEWEST:
            what = (
                f"there are only {self.symbols**self.length} sequences of {self.length} out of {self.symbols} symbols"
            )
            raise ValueError(f"{what}, too few for two splits: make `length` or `symbols` larger")
        return self

    def facts(self) -> Facts:
        vocabulary = {"tokenizer": "chars", "symbols": NAMES[: self.symbols]}
        shape = (2 * self.length - 1,)
        return Facts(count=self.train + self.test, shape=shape, vocab=self.symbols, vocabulary=vocabulary)

    def load(self, base: Path) -> Examples:
        generator = drawn(self.seed)
        parts = [self._drawn(number, tested, generator) for number, tested in ((self.train, False), (self.test, True))]
        s = torch.cat(parts)
        row = torch.cat([s, s.sort(dim=1).values], dim=1)
        y = row[:, 1:].clone()
        y[:, : self.length - 1] = IGNORED
        order = torch.arange(len(row))
        splits = {"train": order[: self.train], "test": order[self.train :]}
        return Examples({"x": row[:, :-1].clone(), "y": y}, self.facts(), splits)

    def _drawn(self, number: int, tested: bool, generator: torch.Generator) -> Tensor:
        """Sequences [number, length] of one split."""
        found, missing = [], number
        while missing > 0:
            some = torch.randint(self.symbols, (4 * missing + 64, self.length), generator=generator)
            found.append(some[_for_the_test(some) == tested][:missing])
            missing -= len(found[-1])
        return torch.cat(found)


def _for_the_test(sequences: Tensor) -> Tensor:
    """Which sequences [count, length] belong to the test split, true for a quarter: a function of each alone."""
    mixed = torch.zeros(len(sequences), dtype=torch.int64)
    for column in sequences.unbind(1):
        mixed = (mixed + column + 1) * 0x9E3779B1 % (1 << 31)  # 2^32 / golden ratio, an odd number
        mixed = mixed ^ (mixed >> 15)
    return mixed % 4 == 0
