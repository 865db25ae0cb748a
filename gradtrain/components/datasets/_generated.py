"""What generated data sets share: a seeded generator and two-class points in the plane."""

from __future__ import annotations

from gradtrain.components.datasets import Examples, Facts
from gradtrain.lazy import Tensor, torch


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(points: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    return points + noise * torch.randn(points.shape, generator=generator, dtype=points.dtype)


def labelled(parts: list[Tensor], facts: Facts) -> Examples:
    """One list of points [count, 2] a class, in this order."""
    labels = torch.cat([torch.full((len(part),), number) for number, part in enumerate(parts)])
    return Examples({"x": torch.cat(parts).float(), "y": labels}, facts)
