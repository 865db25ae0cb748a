"""IDX files as examples; the files themselves are tested with their reader."""

from __future__ import annotations

import gzip
from pathlib import Path

import torch

from gradtrain.components.datasets.idx import Idx


def write(path: Path, shape: tuple[int, ...], values: bytes) -> None:
    head = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    path.write_bytes(gzip.compress(head + values) if path.suffix == ".gz" else head + values)


def test_images_and_labels(tmp_path) -> None:
    write(tmp_path / "images.gz", (3, 2, 4), bytes(range(24)))
    write(tmp_path / "labels", (3,), bytes([2, 0, 1]))
    made = Idx(images="images.gz", labels="labels").load(tmp_path)
    assert made.fields["x"].dtype == torch.uint8
    assert made.fields["x"].flatten().tolist() == list(range(24))
    assert made.fields["y"].tolist() == [2, 0, 1]
    assert (made.facts.shape, made.facts.classes, made.facts.range) == ((1, 2, 4), 3, (0.0, 255.0))
    assert made.files == (tmp_path / "images.gz", tmp_path / "labels")


def test_another_number_of_labels(tmp_path, refused) -> None:
    write(tmp_path / "images", (3, 2, 2), bytes(12))
    write(tmp_path / "labels", (4,), bytes(4))
    refused("count-mismatch", Idx(images="images", labels="labels").load, tmp_path, says=("3 inputs but 4 targets",))


def test_images_and_labels_that_changed_places(tmp_path, refused) -> None:
    write(tmp_path / "images", (3, 2, 2), bytes(12))
    write(tmp_path / "labels", (3,), bytes(3))
    refused("label-shape", Idx(images="labels", labels="images").load, tmp_path, says=("changed places",))
