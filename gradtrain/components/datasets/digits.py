"""Handwritten digits, shipped with gradtrain."""

from __future__ import annotations

from pathlib import Path

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._arrays import read_npz
from gradtrain.lazy import torch


class Digits(Dataset):
    """1,797 handwritten digits of 8x8 pixels, 0 to 16: real data that needs no download.

    paper     Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
              doi:10.24432/C50P49, CC BY 4.0
    shape     x uint8 [1, 8, 8], y 0..9; no official split
    """

    def facts(self) -> Facts:
        return Facts(count=1797, shape=(1, 8, 8), classes=10, range=(0.0, 16.0))

    def load(self, base: Path) -> Examples:
        path = Path(__file__).parents[2] / "data" / "digits.npz"
        arrays = read_npz(path, ("x", "y"))
        fields = {"x": torch.from_numpy(arrays["x"]).unsqueeze(1), "y": torch.from_numpy(arrays["y"]).long()}
        return Examples(fields, self.facts(), labels=tuple("0123456789"), files=(path,))
