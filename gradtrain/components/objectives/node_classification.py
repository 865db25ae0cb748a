"""Classifying the nodes of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from gradtrain.components.datasets import IGNORED, Examples, Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import Batch, Complaint, Networks, Objective, Outline, Task, Terms, width
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.lazy import Tensor
from gradtrain.problems import Problem


class NodeClassification(Objective):
    """Every node of one graph has a class; those that are known teach the network to tell the others.

    value     total = mean of loss(model(x)_i, y_i) over the nodes i of the train split;  all nodes are read
    gradient  ∂total/∂w = Σ_i (∂loss/∂score_i) · (∂score_i/∂w); a score depends on the node's neighbours as well
    paper     Kipf & Welling (2017), ICLR, arXiv:1609.02907
    shape     x [nodes, features], the graph's edges; scores [nodes, class]
    note      A batch is the whole graph: write `batch_size: full`. Targets outside the split do not count.
    """

    kind: ClassVar[TargetKind | None] = "class"
    graph: ClassVar[bool] = True

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        model, classes = networks["model"], facts.classes
        if classes is not None and model.output != (classes,):
            yield width("model", model.output, (classes,), "every class needs its score", "end with `$data.classes`")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _NodeClassification(losses)


class _NodeClassification(Task):
    def __init__(self, losses: Sequence[WeightedLoss]) -> None:
        self.terms = Weighted(losses, ignored=IGNORED)

    def bind(self, networks: Networks, examples: Examples) -> None:
        if examples.edges is None:
            why = "`node_classification` reads a graph"
            raise Problem("no-graph", "the data has no edges", why=why, help="use the source `graph`")
        nodes = len(next(iter(examples.fields.values())))
        for module in networks["model"].modules():
            if callable(bind := getattr(module, "bind", None)):
                bind(examples.edges, nodes)

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["y"])

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self.terms(networks["model"](batch["x"]), batch["y"])

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        scores = networks["model"](batch["x"])
        return self.terms(scores, batch["y"]), scores, batch["y"]

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["model"](batch["x"])  # type: ignore[no-any-return]
