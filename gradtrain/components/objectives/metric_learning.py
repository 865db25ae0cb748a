"""Metric learning: samples of one label close together, others far apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import Batch, Complaint, Networks, Objective, Outline, Task, Terms, width
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.lazy import F, Tensor


class MetricLearning(Objective):
    """The network places every sample in a space where distance means difference.

    value     total = loss(e, y),  e = model(x), or model(x) / ‖model(x)‖ with `normalize`
    gradient  through the norm:  (g - ê (ê · g)) / ‖model(x)‖,  ê = model(x) / ‖model(x)‖
    paper     Schroff, Kalenichenko & Philbin (2015), CVPR, arXiv:1503.03832
    shape     embeddings [batch, features], labels [batch]
    note      The losses are `triplet` and `info_nce`, which compare within the batch: `data.balanced` sees to it that
              every class comes several times.
    """

    kind: ClassVar[TargetKind | None] = "class"
    embeds: ClassVar[bool] = True
    cases = [{}, {"normalize": False}]

    normalize: bool = True
    """Put all embeddings on the unit sphere."""

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        model = networks["model"]
        if len(model.output) != 1:
            why = "an embedding is one row of features a sample"
            yield width("model", model.output, (math.prod(model.output),), why, "end with `flatten`")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _MetricLearning(self, losses)


class _MetricLearning(Task):
    def __init__(self, metric: MetricLearning, losses: Sequence[WeightedLoss]) -> None:
        self.normalize, self.terms = metric.normalize, Weighted(losses)

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["y"])

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        embedding: Tensor = networks["model"](batch["x"])
        return F.normalize(embedding, dim=1) if self.normalize else embedding

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self.terms(self.predict(networks, batch), batch["y"])

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        embedding = self.predict(networks, batch)
        return self.terms(embedding, batch["y"]), embedding, batch["y"]
