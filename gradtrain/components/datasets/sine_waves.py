"""Sine waves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.lazy import torch


class SineWaves(Dataset):
    """Sine waves of one period that begin at different times: sequences to forecast.

    value     x[i, t] = sin((t + shift_i) / scale),  shift_i a whole number, uniform in -max_shift..max_shift - 1
    shape     x float64 [length, 1]; there is no y: what a window predicts comes after it
    note      With the defaults these are the waves of the example time_sequence_prediction in pytorch/examples, to the
              bit: shifts are drawn by numpy's RandomState, whose numbers never change.
    """

    cases = [{}, {"count": 5, "length": 50, "scale": 3.5, "max_shift": 7, "seed": 0}]

    count: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Number of waves."""
    length: Annotated[int, Field(ge=2, le=10_000_000)] = 1000
    """Steps of a wave."""
    scale: PositiveFloat = 20.0
    """Steps of one radian: a period has 2π scale."""
    max_shift: Annotated[int, Field(ge=1, le=1_000_000_000)] = 80
    """The shifts' bound, in steps."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 2
    """Seed of the shifts."""

    def facts(self) -> Facts:
        return Facts(count=self.count, shape=(self.length, 1), range=(-1.0, 1.0))

    def load(self, base: Path) -> Examples:
        import numpy as np

        shifts = np.random.RandomState(self.seed).randint(-self.max_shift, self.max_shift, self.count)
        waves = np.sin((np.arange(self.length) + shifts[:, None]) / self.scale)
        return Examples({"x": torch.from_numpy(waves).unsqueeze(2)}, self.facts())
