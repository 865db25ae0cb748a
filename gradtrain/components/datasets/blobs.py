"""Clouds of points."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._generated import (
    Classes,
    Count,
    Seed,
    Spread,
    drawn,
    enough,
    labelled,
    noisy,
    shares,
)
from gradtrain.lazy import torch


class Blobs(Dataset):
    """One round cloud of points a class, with centres on a circle.

    value     spread (cos 2πk/classes, sin 2πk/classes) for class k, plus noise
    shape     x float32 [2], y class indices; generated anew from the seed
    """

    cases = [{}, {"count": 60, "classes": 4}]

    count: Count = 300
    """Number of points, all classes together."""
    noise: Spread = 1.0
    """Standard deviation of the noise on every coordinate."""
    classes: Classes = 3
    """Number of clouds."""
    spread: Annotated[float, Field(gt=0)] = 4.0
    """Distance of the centres from the origin."""
    seed: Seed = 0
    """Seed of the points."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        enough(self.count, self.classes)
        return self

    def facts(self) -> Facts:
        return Facts(count=self.count, shape=(2,), classes=self.classes)

    def load(self, base: Path) -> Examples:
        generator = drawn(self.seed)
        parts = []
        for k, number in enumerate(shares(self.count, self.classes)):
            angle = 2 * math.pi * k / self.classes
            centre = self.spread * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
            parts.append(noisy(centre.expand(number, 2), self.noise, generator))
        return labelled(parts, self.facts())
