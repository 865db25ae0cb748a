"""How many numbers batch normalization averages over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveInt

from gradtrain.components.measures import Look, Measure, Sign


class BatchStatistics(Measure):
    """How many values of a channel a batch normalization takes its mean and variance from.

    value     n = samples × places; the standard error of the variance is about √(2/n) of it
    paper     Wu & He (2018), ECCV, arXiv:1803.08494: the error grows when a batch holds fewer than 16 samples, and much
              at 4 and 2
    """

    close = True
    finds = ("tiny_batches",)
    cases = [{}, {"values": 8}]

    values: PositiveInt = 16
    """Fewest values of a channel."""
    samples: PositiveInt = 5
    """Fewest samples, however many places each has: those of one picture are alike."""

    def of(self, look: Look) -> Mapping[str, float]:
        found = {}
        for layer in look.layers:
            if "batch" in layer.component and "norm" in layer.component and layer.output is not None:
                found[layer.name] = layer.output.numel() / layer.output.shape[1]
        return found

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if not values:
            return
        name, count = min(values.items(), key=lambda item: item[1])
        samples = next(len(layer.output) for layer in look.layers if layer.name == name and layer.output is not None)
        if samples < look.samples:
            return  # an epoch's last batch
        excess = max(self.values / count, self.samples / samples)
        yield Sign(
            "tiny_batches",
            excess if excess > 1 else 0.0,
            name,
            f"it takes mean and variance from {samples} samples ({count:.0f} values of a channel): the variance is off "
            f"by {100 * (2 / count) ** 0.5:.0f} % from batch to batch",
            "batches too small for batch normalization: it adds noise, and evaluation uses other statistics",
            "data: {batch_size: 32}   # or layer_norm or group_norm in place of batch_norm",
        )
