"""From loaded targets to what losses take, for each kind; silent mistakes of torch are refusals here."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.datasets import Facts
from gradtrain.components.datasets._targets import targets

NAN, INF = float("nan"), float("inf")


def make(y, kind, classes=None, labels=()):
    return targets(torch.as_tensor(y), kind, Facts(classes=classes), labels)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_classes_are_int64_and_flat(dtype, shape) -> None:
    y = targets(torch.tensor([0, 2, 1, 2]).reshape(shape).to(dtype), "class", Facts(classes=3))
    assert y.dtype == torch.int64
    assert y.tolist() == [0, 2, 1, 2]


def test_answers_of_two_sides_are_columns() -> None:
    for kind, expected in (("binary", [[0.0], [1.0]]), ("pm1", [[-1.0], [1.0]])):
        for shape in ((2,), (2, 1)):
            y = make(torch.tensor([0, 1]).reshape(shape), kind)
            assert y.dtype == torch.float32
            assert y.tolist() == expected
    assert make([-1, 1], "pm1").tolist() == [[-1.0], [1.0]]


def test_values_and_several_labels_keep_their_columns() -> None:
    assert make([1, 2], "value").tolist() == [[1.0], [2.0]]
    assert make([[1.5, 2.0], [0.0, 1.0]], "value").shape == (2, 2)
    assert make(torch.zeros(2, dtype=torch.float64), "value").dtype == torch.float64
    several = make([[1, 0], [1, 1], [0, 0]], "multilabel")
    assert several.dtype == torch.float32
    assert several.tolist() == [[1, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize("kind", ["binary", "pm1", "value"])
def test_a_target_cannot_be_broadcast_against_its_prediction(kind) -> None:
    prediction = torch.zeros(4, 1)
    assert (prediction - make([0, 1, 1, 0], kind)).shape == (4, 1)


@pytest.mark.parametrize(
    ("y", "kind", "classes", "code", "says"),
    [
        ([0, 1, 3], "class", 3, "label-out-of-range", ("sample 2 has the target 3, expected 0 to 2", "1 of 3")),
        ([1, 2, 3], "class", 3, "label-out-of-range", ("run from 1 to 3: subtract one",)),
        ([1, 2], "binary", None, "label-out-of-range", ("run from 1 to 2: subtract one",)),
        ([0, -1, 2], "class", 3, "label-out-of-range", ("sample 1 has the target -1",)),
        ([0, 1, -100], "class", 3, "label-out-of-range", ("sample 2 has the target -100", "PyTorch's mark")),
        ([0, 1, -100], "class", None, "label-out-of-range", ("-100",)),
        ([-1, 1], "class", 2, "label-out-of-range", ("data.target.kind: pm1",)),
        ([-1, 1], "binary", None, "label-out-of-range", ("data.target.kind: pm1",)),
        ([0.5, 1.0], "class", None, "label-not-integer", ("sample 0 has the target 0.5", "data.target.kind: value")),
        ([0.0, NAN], "class", 2, "label-not-integer", ("sample 1 has the target nan",)),
        ([0.0, INF], "class", 2, "label-not-integer", ("sample 1 has the target inf",)),
        ([0.0, 0.5], "binary", None, "label-out-of-range", ("0.5, expected 0 or 1",)),
        ([0.0, NAN], "binary", None, "label-out-of-range", ("nan",)),
        ([-1, 0, 1], "pm1", None, "label-out-of-range", ("sample 1 has the target 0",)),
        ([0, 1, 2], "pm1", None, "label-out-of-range", ("sample 2 has the target 2",)),
        ([[0, 1], [1, 7]], "multilabel", None, "label-out-of-range", ("sample 1, column 1, has the target 7",)),
        ([1.0, NAN, INF], "value", None, "target-not-finite", ("sample 1 has the target nan", "2 of 3")),
        ([[0, 1], [1, 0]], "class", None, "label-shape", ("[2, 2]", "multilabel")),
        ([[0, 1], [1, 0]], "binary", None, "label-shape", ("2 columns",)),
        ([0, 0, 0], "class", 3, "single-class", ("the same class: 0",)),
        ([1, 1], "binary", None, "single-class", ()),
        ([1, 1], "pm1", None, "single-class", ()),
    ],
)
def test_refusals(refused, y, kind, classes, code, says) -> None:
    refused(code, make, y, kind, classes, says=says)


def test_names_are_no_values_but_digits_are(refused) -> None:
    refused("target-text", make, [0, 1], "value", 2, ("cat", "dog"), says=("`cat`, `dog`",))
    assert make([0, 1], "value", 2, ("0", "1")).tolist() == [[0.0], [1.0]]
    assert make([0, 1], "pm1", 2, ("cat", "dog")).tolist() == [[-1.0], [1.0]]
