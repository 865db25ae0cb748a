"""A linear law with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._generated import drawn, noisy
from gradtrain.lazy import torch


class Linear(Dataset):
    """Points that follow a linear law, with noise on the answer: what least squares was made for.

    value     y = Σ_i weights_i x_i + bias + noise,  x_i standard normal
    shape     x float32 [features], y float32 [1]; generated anew from the seed
    """

    cases = [{}, {"weights": (1.0, -2.0, 0.5), "bias": 3.0, "noise": 0.0}]

    count: PositiveInt = 200
    """Number of points."""
    weights: Annotated[tuple[float, ...], Field(min_length=1)] = (2.0, -3.4)
    """The law's weights: one feature each."""
    bias: float = 4.2
    """The law's bias."""
    noise: Annotated[float, Field(ge=0)] = 0.01
    """Standard deviation of the noise on y."""
    seed: NonNegativeInt = 0
    """Seed of the points."""

    def facts(self) -> Facts:
        return Facts(count=self.count, shape=(len(self.weights),), outputs=1)

    def load(self, base: Path) -> Examples:
        generator = drawn(self.seed)
        x = torch.randn(self.count, len(self.weights), generator=generator, dtype=torch.float64)
        y = x @ torch.tensor(self.weights, dtype=torch.float64).unsqueeze(1) + self.bias
        return Examples({"x": x.float(), "y": noisy(y, self.noise, generator).float()}, self.facts())
