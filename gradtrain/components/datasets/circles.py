"""Two circles."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._generated import Count, Seed, Spread, drawn, labelled, noisy
from gradtrain.lazy import torch


class Circles(Dataset):
    """A small circle of points inside a large one.

    value     (cos a, sin a) and factor (cos a, sin a) for a in 0..2π, plus noise
    shape     x float32 [2], y class indices; generated anew from the seed
    """

    cases = [{}, {"count": 50, "factor": 0.3}]

    count: Count = 200
    """Number of points, all classes together."""
    noise: Spread = 0.05
    """Standard deviation of the noise on every coordinate."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Radius of the inner circle; the outer one has 1."""
    seed: Seed = 0
    """Seed of the points."""

    def facts(self) -> Facts:
        return Facts(count=self.count, shape=(2,), classes=2)

    def load(self, base: Path) -> Examples:
        generator = drawn(self.seed)
        parts = []
        for radius, number in ((1.0, self.count - self.count // 2), (self.factor, self.count // 2)):
            angle = torch.arange(number, dtype=torch.float64) * (2 * math.pi / number)
            parts.append(noisy(radius * torch.stack([angle.cos(), angle.sin()], dim=1), self.noise, generator))
        return labelled(parts, self.facts())
