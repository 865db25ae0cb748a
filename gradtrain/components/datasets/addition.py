"""Sums to learn by heart or by rule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from gradtrain.components.datasets import IGNORED, Dataset, Examples, Facts
from gradtrain.components.datasets._generated import Count, Seed, drawn
from gradtrain.lazy import Tensor, torch

ALL_UP_TO = 3
"""Digits up to which all pairs are made: a million of them."""


class Addition(Dataset):
    """Sums of two numbers written digit by digit, to see whether a model learns to carry.

    value     the digits of a, b and a + b in one row, without signs between them: 85 + 50 = 135 is 8550531 reversed
    paper     the task of the adder project in minGPT (github.com/karpathy/minGPT)
    shape     x int64 [3 digits], all but the last digit of the row; y int64 [3 digits], all but the first, and -1 where
              the next digit belongs to a or b; official splits train and test
    note      Reversed, the answer begins with its ones, in the order in which one carries.
    """

    cases = [{}, {"digits": 1}, {"digits": 5, "count": 1000, "reverse": False, "test": 50, "seed": 3}]

    digits: Annotated[int, Field(ge=1, le=8)] = 2
    """Digits of a and of b; the sum has one more."""
    reverse: bool = True
    """Write the sum from its ones up."""
    count: Count | None = None
    """Number of different sums drawn from all; all of them by default."""
    test: PositiveInt = 500
    """Sums of the test split, at most a fifth of all."""
    seed: Seed = 1337
    """Seed of the order, which decides which sums are tested."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        pairs = 100**self.digits
        if self.count is None and self.digits > ALL_UP_TO:
            raise ValueError(
                f"there are {pairs:,} sums of {self.digits} digits: write how many to draw, `count: 100000`"
            )
        if self.count is not None and self.count > pairs:
            raise ValueError(f"there are only {pairs:,} sums of {self.digits} digits: make `count` smaller")
        return self

    def facts(self) -> Facts:
        vocabulary = {"tokenizer": "chars", "symbols": "0123456789"}
        count = self.count or 100**self.digits
        return Facts(count=count, shape=(3 * self.digits,), vocab=10, vocabulary=vocabulary)

    def load(self, base: Path) -> Examples:
        problems = self._drawn()
        a, b = problems // 10**self.digits, problems % 10**self.digits
        c = _digits(a + b, self.digits + 1)
        row = torch.cat([_digits(a, self.digits), _digits(b, self.digits), c.flip(1) if self.reverse else c], dim=1)
        y = row[:, 1:].clone()
        y[:, : 2 * self.digits - 1] = IGNORED
        tested = max(1, min(self.test, len(row) // 5))
        order = torch.arange(len(row))
        splits = {"train": order[tested:], "test": order[:tested]}
        return Examples({"x": row[:, :-1].clone(), "y": y}, self.facts(), splits)

    def _drawn(self) -> Tensor:
        """Different numbers a · 10^digits + b in random order."""
        pairs, generator = 100**self.digits, drawn(self.seed)
        count = self.count or pairs
        if pairs <= 100**ALL_UP_TO:
            return torch.randperm(pairs, generator=generator)[:count]
        found = torch.empty(0, dtype=torch.int64)
        while len(found) < count:
            more = torch.randint(pairs, (2 * (count - len(found)),), generator=generator)
            found = torch.unique(torch.cat([found, more]))
        return found[torch.randperm(len(found), generator=generator)[:count]]


def _digits(numbers: Tensor, width: int) -> Tensor:
    """The decimal digits of numbers [count], the highest first: [count, width]."""
    return numbers.unsqueeze(1) // 10 ** torch.arange(width - 1, -1, -1) % 10
