"""Interleaved spirals."""

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


class Spirals(Dataset):
    """Spiral arms of points that wind around each other, one a class: hard for shallow nets.

    value     r (cos(2π (turns r + k/classes)), sin(…)) for r in 0.05..1 and class k, plus noise
    shape     x float32 [2], y class indices; generated anew from the seed
    """

    cases = [{}, {"count": 60, "classes": 3, "turns": 2.0}]

    count: Count = 300
    """Number of points, all classes together."""
    noise: Spread = 0.02
    """Standard deviation of the noise on every coordinate."""
    classes: Classes = 2
    """Number of arms."""
    turns: Annotated[float, Field(gt=0)] = 1.5
    """How often an arm goes around."""
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
            radius = torch.linspace(0.05, 1, number, dtype=torch.float64)
            angle = 2 * math.pi * (self.turns * radius + k / self.classes)
            arm = radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1)
            parts.append(noisy(arm, self.noise, generator))
        return labelled(parts, self.facts())
