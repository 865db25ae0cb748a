"""Sizes that the two networks of a DCGAN share."""

from __future__ import annotations

SMALLEST = 4
"""Sides of at least this many pixels are left when an image has been halved as often as possible."""


def halvings(size: int) -> tuple[int, int]:
    """(side of the smallest image, how often `size` was halved to get there)."""
    times = 0
    while size % 2 == 0 and size >= 2 * SMALLEST:
        size, times = size // 2, times + 1
    return size, times
