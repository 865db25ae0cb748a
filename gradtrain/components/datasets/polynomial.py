"""A polynomial with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._generated import Count, Seed, Spread, drawn, noisy
from gradtrain.lazy import torch


class Polynomial(Dataset):
    """Points on a polynomial, with noise on the answer: one input, one output, a curve to bend to.

    value     y = Σ_k coefficients_k x^k + noise,  x uniform in -1..1,  k = 0, 1, …
    shape     x float32 [1], or [degree] with `powers`; y float32 [1]; generated anew from the seed
    """

    cases = [{}, {"coefficients": (1.0, 0.0, -2.0, 3.0), "powers": True, "noise": 0.0}]

    count: Count = 200
    """Number of points."""
    coefficients: Annotated[tuple[float, ...], Field(min_length=2)] = (0.5, -1.0, 0.0, 2.0)
    """The polynomial, from the constant term up."""
    powers: bool = False
    """Give x, x², x³, … as features, so that a linear model can find the coefficients."""
    noise: Spread = 0.05
    """Standard deviation of the noise on y."""
    seed: Seed = 0
    """Seed of the points."""

    def facts(self) -> Facts:
        width = len(self.coefficients) - 1 if self.powers else 1
        return Facts(count=self.count, shape=(width,), outputs=1, range=(-1.0, 1.0))

    def load(self, base: Path) -> Examples:
        generator = drawn(self.seed)
        x = 2 * torch.rand(self.count, 1, generator=generator, dtype=torch.float64) - 1
        terms = x ** torch.arange(len(self.coefficients), dtype=torch.float64)
        y = terms @ torch.tensor(self.coefficients, dtype=torch.float64).unsqueeze(1)
        inputs = terms[:, 1:] if self.powers else x
        return Examples({"x": inputs.float(), "y": noisy(y, self.noise, generator).float()}, self.facts())
