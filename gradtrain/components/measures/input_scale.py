"""The size of what a network reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, norms
from gradtrain.lazy import torch


class InputScale(Measure):
    """How large the numbers are that the first layer reads.

    value     RMS of the inputs that are not 0, and their mean, by name
    paper     inputs of mean 0 and variance 1: LeCun, Bottou, Orr & Müller (1998), Efficient BackProp, section 4.3
    note      What is not 0 counts: features of one word in a thousand are small on average, and are fine. The first
              look decides: what networks read of one another grows as they learn.
    """

    close = True
    finds = ("unscaled_inputs",)
    lasts = 1
    cases = [{}, {"most": 3.0}]

    most: PositiveFloat = 5.0
    """RMS from which inputs are too large."""
    least: PositiveFloat = 2e-3
    """RMS below which they are too small."""

    def of(self, look: Look) -> Mapping[str, float]:
        first = look.layers[0] if look.layers else None
        if first is None or first.input is None or not first.input.is_floating_point():
            return {}
        count = int(torch.count_nonzero(first.input))
        size, mean = norms([first.input])[0], float(first.input.sum())
        return {first.name: size / math.sqrt(count), f"{first.name} mean": mean / count} if count else {}

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if not values:
            return
        name, size = next(iter(values.items()))
        mean = values[f"{name} mean"]
        flat = look.layers[0].input is not None and look.layers[0].input.ndim == 2
        excess = past.setdefault("first", max(size / self.most, self.least / max(size, 1e-30)))
        yield Sign(
            "unscaled_inputs",
            excess,
            name,
            f"it reads numbers of RMS {size:.3g} and mean {mean:.3g}",
            "the inputs are not normalized: layers and learning rates are made for mean 0 and variance 1",
            f"data: {{transforms: [{'flatten, ' if flat else ''}standardize]}}",
        )
