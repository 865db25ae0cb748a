"""No data at all."""

from __future__ import annotations

from pathlib import Path

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.lazy import torch


class Nothing(Dataset):
    """A single zero, for objectives that make their own samples or need none: an equation to solve, a function.

    shape     x float32 [1], one sample; there is no y
    """

    def facts(self) -> Facts:
        return Facts(count=1, shape=(1,))

    def load(self, base: Path) -> Examples:
        return Examples({"x": torch.zeros(1, 1)}, self.facts())
