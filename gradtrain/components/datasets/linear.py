"""A linear law with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._generated import Count, Seed, Spread, drawn, noisy
from gradtrain.lazy import torch


class Linear(Dataset):
    """Points that follow a linear law, with noise on the answer: what least squares was made for.

    value     y = Σ_i weights_i x_i + bias + noise,  x_i standard normal
    shape     x float32 [features], y float32 [1]; generated anew from the seed
    """

    cases = [{}, {"weights": (1.0, -2.0, 0.5), "bias": 3.0, "noise": 0.0}, {"weights": 20, "seed": 5}]

    count: Count = 200
    """Number of points."""
    weights: Annotated[tuple[float, ...], Field(min_length=1)] | Annotated[int, Field(ge=1, le=100_000)] = (2.0, -3.4)
    """The law's weights, one a feature; or how many to draw from a standard normal."""
    bias: float = 4.2
    """The law's bias."""
    noise: Spread = 0.01
    """Standard deviation of the noise on y."""
    seed: Seed = 0
    """Seed of the points, and of weights that are drawn."""

    def facts(self) -> Facts:
        width = self.weights if isinstance(self.weights, int) else len(self.weights)
        return Facts(count=self.count, shape=(width,), outputs=1)

    def load(self, base: Path) -> Examples:
        generator = drawn(self.seed)
        if isinstance(self.weights, int):
            weights = torch.randn(self.weights, 1, generator=generator, dtype=torch.float64)
        else:
            weights = torch.tensor(self.weights, dtype=torch.float64).unsqueeze(1)
        x = torch.randn(self.count, len(weights), generator=generator, dtype=torch.float64)
        y = noisy(x @ weights + self.bias, self.noise, generator)
        return Examples({"x": x.float(), "y": y.float()}, self.facts())
