"""Facts that follow from arrays, and arrays that are no samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gradtrain.components.datasets._tensors import classes_in, examples, inputs

HERE = Path("data.npz")


@pytest.mark.parametrize(
    ("shape", "laid"), [((5,), (5, 1)), ((5, 3), (5, 3)), ((5, 4, 4), (5, 1, 4, 4)), ((5, 3, 4, 4), (5, 3, 4, 4))]
)
def test_inputs_have_a_sample_axis_and_images_a_channel(shape, laid) -> None:
    assert inputs(np.zeros(shape, dtype="u1"), "x", HERE).shape == laid


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("u1", torch.uint8), ("u2", torch.float32), ("i8", torch.float32), ("f8", torch.float32), ("?", torch.float32)],
)
def test_pixels_stay_as_small_as_they_are(dtype, kept) -> None:
    assert inputs(np.ones(3, dtype=dtype), "x", HERE).dtype == kept


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_rows_that_are_not_finite_are_counted(refused, value) -> None:
    x = np.zeros((9, 2))
    x[[3, 5, 8], 1] = value
    with np.errstate(over="ignore"):
        refused("input-not-finite", inputs, x, "x", HERE, says=("3 of 9 rows", "3, 5, 8"))


def test_a_single_number_is_no_array_of_samples(refused) -> None:
    refused("input-shape", inputs, np.array(1.0), "x", HERE)


def test_counts_differ(refused) -> None:
    refused("count-mismatch", examples, torch.zeros(3, 2), torch.zeros(4), (HERE,), says=("3 inputs but 4 targets",))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_no_samples_or_no_features(refused, shape) -> None:
    refused("data-empty", examples, torch.zeros(shape), torch.zeros(shape[0]), (HERE,))


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([0, 1, 2], 3),
        ([[0], [1]], 2),
        ([1, 2, 3], 3),
        ([0, 0], 1),
        ([0, 9], None),
        ([5, 6], None),
        ([-1, 1], None),
        ([0.0, 1.0], None),
        ([[0, 1], [1, 0]], None),
    ],
)
def test_classes(y, classes) -> None:
    assert classes_in(torch.tensor(y)) == classes


def test_facts() -> None:
    facts = examples(torch.tensor([[0.0, 2.0], [-1.0, 1.0]]), torch.zeros(2, 3), (HERE,)).facts
    assert (facts.count, facts.shape, facts.outputs, facts.range) == (2, (2,), 3, (-1.0, 2.0))
