"""Applying a run to new inputs: a graph's nodes with their neighbours, embeddings as they are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradtrain.predict
from gradtrain.predict import predicted
from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.start import measured, start
from gradtrain.storage import checkpoint

NODES = 40

GRAPH = """\
name: graph
seed: 1
data: {source: {graph: {path: graph.npz}}, batch_size: full}
model: {layers: [{gcn: $data.classes}]}
objective: node_classification
loss: cross_entropy
optimizer: {adam: {lr: 0.1}}
training: {steps: 20}
evaluation: {metrics: [accuracy]}
checkpoint: {every: 5 steps}
"""

DIGITS = "data: {source: digits, split: {train: 0.1}, transforms: [{to_float: 16}, flatten], batch_size: 32%s}\n"
END = "optimizer: {adam: {lr: 1e-2}}\ntraining: {steps: 2}\n"


def graph() -> dict[str, Any]:
    """Random nodes, each among a few others from anywhere: no ring."""
    draw = np.random.default_rng(0)
    edges = draw.integers(0, NODES, (2 * NODES, 2))
    masks = {name: np.arange(NODES) % 4 == k for k, name in enumerate(("val", "test"))}
    return {
        "x": draw.random((NODES, 6)).astype(np.float32),
        "label": draw.integers(0, 3, NODES),
        "edges": edges,
        "train": np.arange(NODES) % 4 > 1,
        **masks,
    }


def trained(place: Path, text: str) -> Path:
    (place / "c.yaml").write_text(text)
    start(place / "c.yaml", folder=place / "run", shown=Lines(io.StringIO()))
    return place / "run"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "graph.npz", **graph())
    return trained(tmp_path, GRAPH)


def by_hand(run: Path) -> torch.Tensor:
    """softmax(Â X W + b) by a dense matrix, rows of X summing to 1."""
    arrays = graph()
    a = torch.eye(NODES)
    for i, j in arrays["edges"].tolist():
        a[i, j] = a[j, i] = 1
    root = a.sum(dim=1).rsqrt()
    x = torch.from_numpy(arrays["x"])
    tensors = checkpoint.newest(run / "checkpoints").tensors
    scores = root[:, None] * a * root @ (x / x.sum(dim=1, keepdim=True)) @ tensors["network.model.0.weight"].T
    return (scores + tensors["network.model.0.bias"]).softmax(dim=1)


def probabilities(records: list[dict[str, Any]]) -> list[float]:
    return [record["probability"] for record in records]


def test_nodes_are_read_with_their_neighbours(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradtrain.predict, "AT_ONCE", 7)  # a graph is never cut
    told, known = predicted(run, Path("graph.npz"), "last"), by_hand(run)
    assert probabilities(told) == pytest.approx(known.max(dim=1).values.tolist(), rel=1e-5)
    assert [record["class"] for record in told] == known.argmax(dim=1).tolist()
    right = [record["class"] == label for record, label in zip(told, graph()["label"], strict=True)]
    split, values = measured(run, which="last")
    assert (split, values["accuracy"]) == ("test", pytest.approx(np.mean(np.array(right)[graph()["test"]])))


def test_nodes_without_edges_are_those_of_the_runs_graph(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    np.savez(elsewhere / "x.npz", x=graph()["x"])
    whole = predicted(run, Path("graph.npz"), "last")
    monkeypatch.chdir(elsewhere)
    assert predicted(run, Path("x.npz"), "last") == whole


def test_another_graph_brings_its_own_edges(run: Path) -> None:
    order = np.random.default_rng(1).permutation(NODES)  # the same nodes in another order, and no labels
    place = np.argsort(order)
    np.savez("other.npz", x=graph()["x"][order], edges=place[graph()["edges"]])
    whole, other = predicted(run, Path("graph.npz"), "last"), predicted(run, Path("other.npz"), "last")
    assert probabilities(other) == pytest.approx(np.array(probabilities(whole))[order].tolist(), rel=1e-5)
    assert probabilities(other) != pytest.approx(probabilities(whole), rel=1e-5)


def test_nodes_of_no_known_graph_are_refused(run: Path) -> None:
    np.savez("few.npz", x=graph()["x"][:-1])
    with pytest.raises(Problem, match="39 nodes, the graph that trained the model has 40") as caught:
        predicted(run, Path("few.npz"))
    assert (caught.value.code, caught.value.exit_code) == ("input-shape", 3)
    np.savez("narrow.npz", x=graph()["x"][:, :-1], edges=graph()["edges"])
    with pytest.raises(Problem, match=r"the shape \[5\]"):
        predicted(run, Path("narrow.npz"))
    Path("table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Problem, match="not trained on a table"):
        predicted(run, Path("table.csv"))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (
            DIGITS % ", balanced: {classes: 4}"
            + "model: {layers: [{linear: 3}]}\nobjective: {metric_learning: {normalize: false}}\nloss: triplet\n",
            3,
        ),
        (
            DIGITS % ", pairs: {positive: 0.5}"
            + "model: {layers: [{linear: 2}]}\nobjective: {siamese: {combine: distance}}\n"
            + "loss: {contrastive: {same_label: 1}}\n",
            2,
        ),
    ],
    ids=["metric_learning", "siamese"],
)
def test_embeddings_are_no_answers(tmp_path: Path, text: str, columns: int) -> None:
    run = trained(tmp_path, f"name: far\n{text}{END}")
    x = np.random.default_rng(0).integers(0, 17, (5, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "new.npz", x=x)
    tensors = checkpoint.newest(run / "checkpoints").tensors
    known = torch.from_numpy(x).flatten(1) / 16 @ tensors["network.model.0.weight"].T + tensors["network.model.0.bias"]
    told = predicted(run, tmp_path / "new.npz", "last")
    assert [list(record) for record in told] == [[f"value_{i}" for i in range(columns)]] * 5
    np.testing.assert_allclose([list(record.values()) for record in told], known.numpy(), rtol=1e-5, atol=1e-6)
