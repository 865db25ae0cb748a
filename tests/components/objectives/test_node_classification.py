"""Classifying nodes: all are read, those of the split count."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.datasets import IGNORED, Examples, Facts
from gradtrain.components.layers import Placed
from gradtrain.components.layers._chain import build
from gradtrain.components.layers.gcn import Gcn
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.metrics.accuracy import Accuracy
from gradtrain.components.objectives import Outline, Task
from gradtrain.components.objectives.node_classification import NodeClassification
from gradtrain.problems import Problem
from gradtrain.training.batches import Batches
from gradtrain.training.evaluation import measure
from gradtrain.training.precision import Precision

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
EDGES = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])  # a path
Y = torch.tensor([0, IGNORED, 1, IGNORED, IGNORED])


def task() -> Task:
    return NodeClassification().start([WeightedLoss(part=CrossEntropy())], "class", Facts(classes=2))


@pytest.fixture
def networks(seeded) -> dict[str, nn.Module]:
    made = {"model": build((Placed(part=Gcn(out=2)),), (3,)).double()}
    task().bind(made, Examples({"x": X}, Facts(), edges=EDGES))
    return made


def scores(networks: dict[str, nn.Module]) -> torch.Tensor:
    """Â x W by a dense matrix."""
    a = torch.eye(5, dtype=torch.float64)
    a[EDGES[0], EDGES[1]] = a[EDGES[1], EDGES[0]] = 1
    root = a.sum(dim=1).rsqrt()
    layer = next(m for m in networks["model"].modules() if hasattr(m, "weight"))
    return root.unsqueeze(1) * a * root @ X @ layer.weight.T + layer.bias


def test_the_total_is_the_mean_over_the_nodes_of_the_split(networks) -> None:
    told = scores(networks)
    expected = -(told[0].log_softmax(0)[0] + told[2].log_softmax(0)[1]) / 2
    terms = task().losses("model", networks, {"x": X, "y": Y})
    torch.testing.assert_close(terms.total, expected)
    assert float(task().count({"x": X, "y": Y})) == 2


def test_other_nodes_teach_as_neighbours_only(networks) -> None:
    x = X.clone().requires_grad_()
    task().losses("model", networks, {"x": x, "y": Y}).total.backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(dim=1) > 0).tolist() == [True, True, True, True, False]  # 4 is no neighbour of 0 or 2


def test_metrics_and_losses_count_the_nodes_of_their_split(networks) -> None:
    batches = Batches({"x": X, "y": Y}, 5, 0, shuffle=False)
    values = measure(task(), networks, batches, [Accuracy()], "class", Facts(classes=2), Precision())
    right = (scores(networks).argmax(dim=1) == Y)[[0, 2]].double().mean()
    assert values["accuracy"] == float(right)
    loss = nn.functional.cross_entropy(scores(networks)[[0, 2]], Y[[0, 2]])
    assert values["loss"] == pytest.approx(float(loss.detach()))


def test_data_without_a_graph_is_refused(networks) -> None:
    with pytest.raises(Problem) as caught:
        task().bind(networks, Examples({"x": X}, Facts()))
    assert (caught.value.code, caught.value.exit_code) == ("no-graph", 3)


def test_complaints() -> None:
    def told(output: tuple[int, ...]) -> list[str]:
        outlines = {"model": Outline((3,), output, ())}
        return [p.code for _, p in NodeClassification().complaints(outlines, Facts(classes=2))]

    assert told((2,)) == []
    assert told((3,)) == ["output-width"]
