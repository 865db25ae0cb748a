"""Graphs in npz files: features, edges, splits, and arrays that do not fit together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradtrain.components.datasets import graph
from gradtrain.components.datasets.graph import Graph

ARRAYS = {
    "x": np.array([[1.0, 1.0], [0.0, 0.0], [3.0, 1.0], [0.0, 2.0]], np.float32),
    "label": np.array([0, 1, 1, 0]),
    "edges": np.array([[0, 1], [1, 0], [2, 2], [3, 2], [0, 1]]),
}


def save(folder, **changes) -> None:
    arrays = {name: array for name, array in {**ARRAYS, **changes}.items() if array is not None}
    np.savez(folder / "g.npz", **arrays)


def test_edges_are_undirected_and_different_and_rows_sum_to_one(tmp_path) -> None:
    save(tmp_path)
    made = Graph(path="g.npz").load(tmp_path)
    assert made.edges.tolist() == [[0, 2], [1, 3]]
    assert made.fields["x"].tolist() == [[0.5, 0.5], [0.0, 0.0], [0.75, 0.25], [0.0, 1.0]]
    assert made.fields["y"].tolist() == [0, 1, 1, 0]
    assert made.splits == {}
    assert (made.facts.count, made.facts.shape, made.facts.classes) == (4, (2,), 2)
    raw = Graph(path="g.npz", normalize=False).load(tmp_path)
    assert raw.fields["x"].tolist() == ARRAYS["x"].tolist()
    assert raw.facts.range == (0.0, 3.0)


def test_sparse_features_are_ones_at_their_places(tmp_path) -> None:
    sparse = {"feature_row": np.array([0, 2, 2]), "feature_col": np.array([2, 0, 1]), "shape": np.array([4, 3])}
    save(tmp_path, x=None, **sparse)
    made = Graph(path="g.npz", normalize=False).load(tmp_path)
    assert made.fields["x"].tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_splits_are_indices_or_masks(tmp_path) -> None:
    save(tmp_path, train=np.array([3, 0]), test=np.array([False, True, False, False]))
    made = Graph(path="g.npz").load(tmp_path)
    assert {name: part.tolist() for name, part in made.splits.items()} == {"train": [3, 0], "test": [1]}


def test_nodes_without_a_label_are_no_class(tmp_path) -> None:
    save(tmp_path, label=np.array([-1, 1, 0, -1]))
    assert Graph(path="g.npz").load(tmp_path).facts.classes == 2


def test_cora_has_the_published_sizes(real_data) -> None:
    """Kipf & Welling (2017), table 1: 2,708 nodes, 1,433 features, 7 classes; splits 140, 500 and 1,000."""
    path = real_data("cora.npz")
    made = Graph(path=str(path)).load(path.parent)
    assert (made.facts.count, made.facts.shape, made.facts.classes) == (2708, (1433,), 7)
    assert {name: len(part) for name, part in made.splits.items()} == {"train": 140, "val": 500, "test": 1000}
    assert torch.bincount(made.fields["y"][made.splits["train"]]).tolist() == [20] * 7
    assert made.edges.shape == (2, 5278)
    assert torch.allclose(made.fields["x"].sum(dim=1), torch.ones(2708))


BROKEN = [
    ({"label": np.array([0, 1])}, "graph-arrays", ("`label`", "4 nodes")),
    ({"label": np.array([0.0, 1, 1, 0])}, "data-dtype", ("`label`", "float64")),
    ({"edges": np.array([[0, 4]])}, "graph-arrays", ("index 4", "0 to 3")),
    ({"edges": np.array([[-1, 0]])}, "graph-arrays", ("index -1",)),
    ({"edges": np.array([0, 1, 2])}, "graph-arrays", ("[3]", "[edges, 2]")),
    ({"edges": np.array([[0.5, 1]])}, "data-dtype", ("`edges`",)),
    ({"edges": None}, "array-missing", ("`edges`",)),
    ({"x": None}, "array-missing", ("`feature_row`", "neither `x`")),
    ({"x": np.zeros(4)}, "graph-arrays", ("`x`", "[4]")),
    ({"x": np.zeros((0, 3))}, "graph-arrays", ("`x`",)),
    ({"x": np.full((4, 2), np.nan)}, "input-not-finite", ("4 of 4",)),
    ({"train": np.array([0, 9])}, "graph-arrays", ("`train`", "index 9")),
    ({"train": np.array([0, 0])}, "graph-arrays", ("`train`", "twice")),
    ({"train": np.array([], int)}, "graph-arrays", ("`train` is empty",)),
    ({"train": np.array([True, False])}, "graph-arrays", ("mask `train`", "4 nodes")),
    ({"train": np.array([0, 1]), "test": np.array([1, 2])}, "graph-arrays", ("1 nodes belong to two", "first is 1")),
    ({"test": np.array([1, 2])}, "array-missing", ("`train`",)),
]
SPARSE = {"x": None, "feature_row": np.array([0]), "feature_col": np.array([1]), "shape": np.array([4, 3])}
BROKEN_SPARSE = [
    ({"shape": np.array([4])}, "graph-arrays", ("`shape`",)),
    ({"shape": np.array([4, 0])}, "graph-arrays", ("`shape`",)),
    ({"shape": np.array([10**9, 10**9])}, "data-limit", ("take too much",)),
    ({"feature_row": np.array([0, 1])}, "graph-arrays", ("[2]", "[1]")),
    ({"feature_row": np.array([4])}, "graph-arrays", ("`feature_row`", "index 4")),
    ({"feature_col": np.array([3])}, "graph-arrays", ("`feature_col`", "index 3")),
]


@pytest.mark.parametrize(
    ("changes", "code", "says"), BROKEN + [(SPARSE | change, code, says) for change, code, says in BROKEN_SPARSE]
)
def test_arrays_that_do_not_fit(tmp_path, refused, changes, code, says) -> None:
    save(tmp_path, **changes)
    refused(code, Graph(path="g.npz").load, tmp_path, says=says)


def test_sparse_features_that_do_not_fit_into_memory(tmp_path, refused, monkeypatch) -> None:
    save(tmp_path, **SPARSE)
    monkeypatch.setattr(graph, "most", lambda: 40)
    refused("data-limit", Graph(path="g.npz").load, tmp_path, says=("48 bytes",))
