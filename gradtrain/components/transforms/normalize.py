"""Given means and standard deviations."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from gradtrain.components.transforms import Fitted, Transform
from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Misfit, Shape


class Normalize(Transform):
    """Shifts and scales every channel by numbers that are given, not learned.

    value     (x - mean) / std
    """

    cases = [{"mean": (0.5,), "std": (0.5,)}, {"mean": (0.1, 0.2, 0.3), "std": (1.0, 2.0, 3.0)}]

    mean: Annotated[tuple[float, ...], Field(min_length=1)]
    """One number a channel, or one for all."""
    std: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    """One number a channel, or one for all."""

    def output_shape(self, shape: Shape) -> Shape:
        channels = shape[0] if shape else 1
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, channels):
                raise Misfit(
                    f"`normalize` has {len(numbers)} numbers in `{name}` for an input of {list(shape)}",
                    "write one number" + (f", or {channels}" if channels > 1 else ""),
                )
        return shape

    def span(self, low: float, high: float) -> tuple[float, float]:
        lows = [(low - m) / s for m, s in self._pairs()]
        highs = [(high - m) / s for m, s in self._pairs()]
        return min(lows), max(highs)

    def _pairs(self) -> list[tuple[float, float]]:
        count = max(len(self.mean), len(self.std))
        return [(self.mean[i % len(self.mean)], self.std[i % len(self.std)]) for i in range(count)]

    def fit(self, x: Tensor) -> Fitted:
        wide = (-1, *[1] * (x.ndim - 2))
        return {"mean": torch.tensor(self.mean).reshape(wide), "std": torch.tensor(self.std).reshape(wide)}

    def forward(self, x: Tensor, fitted: Fitted) -> Tensor:
        return (x.to(torch.float32) - fitted["mean"]) / fitted["std"]

    def inverse(self, x: Tensor, fitted: Fitted) -> Tensor:
        return x * fitted["std"] + fitted["mean"]
