"""Fashion-MNIST: small stand-ins for its four files, and the real ones where they are installed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from gradtrain.components.datasets.fashion_mnist import DEBIAN, FashionMnist


def write(
    folder: Path, train: int = 4, test: int = 2, size: int = 28, labels: int | None = None, packed: bool = True
) -> None:
    for part, count in (("train", train), ("t10k", test)):
        for kind, shape in (("images-idx3-ubyte", (count, size, size)), ("labels-idx1-ubyte", (labels or count,))):
            values = bytes([7 * n % 256 for n in range(shape[0])]) if len(shape) == 1 else bytes(count * size * size)
            values = bytes(v % 10 for v in values)
            data = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + values
            path = folder / f"{part}-{kind}{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
def test_the_official_split_is_kept(tmp_path, packed) -> None:
    write(tmp_path, packed=packed)
    made = FashionMnist(root=".").load(tmp_path)
    assert made.splits["train"].tolist() == [0, 1, 2, 3]
    assert made.splits["test"].tolist() == [4, 5]
    assert (made.fields["x"].shape, made.fields["x"].dtype) == ((6, 1, 28, 28), torch.uint8)
    assert made.fields["y"].tolist() == [0, 7, 4, 1, 0, 7]
    assert made.facts.count == 6
    assert len(made.labels) == 10
    assert len(made.files) == 4


def test_missing_files_say_how_to_get_them(tmp_path, refused) -> None:
    says = ("apt-get install dataset-fashion-mnist", "train-images-idx3-ubyte")
    refused("data-missing", FashionMnist(root=str(tmp_path)).load, Path(), says=says)
    refused("data-missing", FashionMnist(root=str(tmp_path / "no")).load, Path())


@pytest.mark.parametrize("wrong", [{"size": 27}, {"labels": 3}])
def test_files_of_another_shape(tmp_path, refused, wrong) -> None:
    write(tmp_path, **wrong)
    refused("count-mismatch", FashionMnist(root=".").load, tmp_path)


@pytest.mark.skipif(not Path(DEBIAN).is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_the_real_files() -> None:
    made = FashionMnist().load(Path())
    assert made.facts == FashionMnist().facts()
    assert made.fields["x"].shape == (70_000, 1, 28, 28)
    assert made.fields["y"].bincount().tolist() == [7000] * 10
    assert {name: len(index) for name, index in made.splits.items()} == {"train": 60_000, "test": 10_000}
    train = made.fields["x"][made.splits["train"]].float() / 255  # its published mean and deviation
    assert abs(train.mean() - 0.2860) < 1e-4
    assert abs(train.std() - 0.3530) < 1e-4
