"""Clouds of points."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._generated import drawn, labelled, noisy
from gradtrain.lazy import torch


class Blobs(Dataset):
    """One round cloud of points a class, with centres on a circle.

    value     spread (cos 2πk/classes, sin 2πk/classes) for class k, plus noise
    shape     x float32 [2], y class indices; generated anew from the seed
    """

    cases = [{}, {"count": 60, "classes": 4}]

    count: Annotated[int, Field(ge=4)] = 300
    """Number of points, all classes together."""
    noise: Annotated[float, Field(ge=0)] = 1.0
    """Standard deviation of the noise on every coordinate."""
    classes: Annotated[int, Field(ge=2, le=1000)] = 3
    """Number of clouds."""
    spread: Annotated[float, Field(gt=0)] = 4.0
    """Distance of the centres from the origin."""
    seed: NonNegativeInt = 0
    """Seed of the points."""

    def facts(self) -> Facts:
        return Facts(count=self.count, shape=(2,), classes=self.classes)

    def load(self, base: Path) -> Examples:
        generator = drawn(self.seed)
        parts = []
        for k in range(self.classes):
            centre = torch.tensor([math.cos(2 * math.pi * k / self.classes), math.sin(2 * math.pi * k / self.classes)], dtype=torch.float64)
            number = self.count // self.classes + (k < self.count % self.classes)
            parts.append(noisy((self.spread * centre).expand(number, 2), self.noise, generator))
        return labelled(parts, self.facts())
