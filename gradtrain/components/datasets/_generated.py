"""What generated data sets share: their fields, a seeded generator, and labelled points in the plane."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradtrain.components.datasets import Examples, Facts
from gradtrain.lazy import Tensor, torch

Count = Annotated[int, Field(ge=4, le=100_000_000)]
Classes = Annotated[int, Field(ge=2, le=1000)]
Spread = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(points: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Points with independent normal numbers of standard deviation `noise` added."""
    return points + noise * torch.randn(points.shape, generator=generator, dtype=points.dtype)


def shares(count: int, classes: int) -> list[int]:
    """How many of `count` samples each class gets: equal numbers, the rest one each to the first ones."""
    return [count // classes + (k < count % classes) for k in range(classes)]


def enough(count: int, classes: int) -> None:
    """Raises ValueError where a class would get fewer than two points."""
    if count < 2 * classes:
        raise ValueError(f"{count} points are too few for {classes} classes: write `count: {2 * classes}` or more")


def labelled(parts: list[Tensor], facts: Facts) -> Examples:
    """One list of points [count, 2] a class, in this order."""
    labels = torch.cat([torch.full((len(part),), number) for number, part in enumerate(parts)])
    return Examples({"x": torch.cat(parts).float(), "y": labels}, facts)
