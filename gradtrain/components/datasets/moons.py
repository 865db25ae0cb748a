"""Two half moons."""

from __future__ import annotations

import math
from pathlib import Path

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._generated import Count, Seed, Spread, drawn, labelled, noisy
from gradtrain.lazy import torch


class Moons(Dataset):
    """Two interleaving half circles of points: the smallest problem that no straight line solves.

    value     (cos a, sin a) and (1 - cos a, ½ - sin a) for a in 0..π, plus noise
    shape     x float32 [2], y class indices; generated anew from the seed
    """

    cases = [{}, {"count": 50, "noise": 0.2, "seed": 3}]

    count: Count = 200
    """Number of points, all classes together."""
    noise: Spread = 0.1
    """Standard deviation of the noise on every coordinate."""
    seed: Seed = 0
    """Seed of the points."""

    def facts(self) -> Facts:
        return Facts(count=self.count, shape=(2,), classes=2)

    def load(self, base: Path) -> Examples:
        generator = drawn(self.seed)
        outer = torch.linspace(0, math.pi, self.count - self.count // 2, dtype=torch.float64)
        inner = torch.linspace(0, math.pi, self.count // 2, dtype=torch.float64)
        first = torch.stack([outer.cos(), outer.sin()], dim=1)
        second = torch.stack([1 - inner.cos(), 0.5 - inner.sin()], dim=1)
        return labelled([noisy(first, self.noise, generator), noisy(second, self.noise, generator)], self.facts())
