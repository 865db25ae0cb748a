"""Coarse histograms of activations and gradients: what a page draws over time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

BINS = 20
MOST = 4096
"""Elements of a tensor that are counted, evenly spread over it: a fixed cost, and no random numbers."""


def histograms(named: Iterable[tuple[str, Tensor]]) -> dict[str, dict[str, list[float]]]:
    """Name → `edges` (one more than bins) and `counts` of each tensor whose numbers are finite."""
    found = {}
    for name, tensor in named:
        flat = tensor.detach().reshape(-1)
        some = flat[:: -(-len(flat) // MOST)].float() if len(flat) else flat.float()
        if len(some) and bool(torch.isfinite(some).all()):
            found[name] = _histogram(some)
    return found


def _histogram(values: Tensor) -> dict[str, list[Any]]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        margin = abs(low) / 2 or 0.5
        low, high = low - margin, high + margin
    counts = torch.histc(values, BINS, low, high)
    edges = torch.linspace(low, high, BINS + 1, dtype=torch.float64)
    return {"edges": [float(f"{edge:.4g}") for edge in edges], "counts": [int(count) for count in counts]}
