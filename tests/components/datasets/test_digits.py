"""The digits that are shipped: what was published about them."""

from __future__ import annotations

from pathlib import Path

import torch

import gradtrain
from gradtrain.components.datasets.digits import Digits


def test_the_shipped_digits_are_those_of_the_collection() -> None:
    made = Digits().load(Path("/nowhere"))
    x, y = made.fields["x"], made.fields["y"]
    assert made.facts == Digits().facts()
    assert (x.shape, x.dtype, y.dtype) == ((1797, 1, 8, 8), torch.uint8, torch.int64)
    assert (x.min(), x.max()) == (0, 16)
    assert y.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    first = [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]  # of the first image, a zero
    assert x[0, 0, :2].tolist() == first
    assert y[0] == 0


def test_a_picture_looks_like_its_label() -> None:
    """The nearest other image is of the same class: images and labels are in step."""
    made = Digits().load(Path("/nowhere"))
    flat, y = made.fields["x"].flatten(1).float(), made.fields["y"]
    nearest = (torch.cdist(flat[:300], flat) + torch.eye(300, len(flat)) * 1e9).argmin(dim=1)
    assert (y[nearest] == y[:300]).float().mean() > 0.95


def test_the_source_and_the_licence_stand_beside_the_data() -> None:
    text = (Path(gradtrain.__file__).parent / "data" / "README.md").read_text("utf-8")
    assert "CC BY 4.0" in text
    assert "Alpaydin" in text
