"""npz archives as examples; the archives themselves are tested with their reader."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradtrain.components.datasets.npz import Npz


def test_named_arrays(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", images=np.arange(32, dtype="u1").reshape(2, 4, 4), labels=np.array([1, 0], dtype="u1"))
    made = Npz(path="a.npz", x="images", y="labels").load(tmp_path)
    assert (made.fields["x"].shape, made.fields["x"].dtype) == ((2, 1, 4, 4), torch.uint8)
    assert (made.fields["y"].tolist(), made.fields["y"].dtype) == ([1, 0], torch.int64)
    assert (made.facts.count, made.facts.shape, made.facts.classes) == (2, (1, 4, 4), 2)
    assert made.files == (tmp_path / "a.npz",)


@pytest.mark.parametrize(
    ("dtype", "read"), [("f2", torch.float32), ("f8", torch.float32), ("u2", torch.int64), ("?", torch.int64)]
)
def test_targets_are_values_or_whole_numbers(tmp_path, dtype, read) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((3, 2)), y=np.ones((3, 2), dtype=dtype))
    made = Npz(path="a.npz").load(tmp_path)
    assert made.fields["y"].dtype == read
    assert (made.facts.classes, made.facts.outputs) == (None, 2)


def test_counts_differ(tmp_path, refused) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((3, 2)), y=np.ones(2))
    refused("count-mismatch", Npz(path="a.npz").load, tmp_path)


def test_not_finite(tmp_path, refused) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([1.0, np.nan]), y=np.ones(2))
    refused("input-not-finite", Npz(path="a.npz").load, tmp_path, says=("`x`",))
