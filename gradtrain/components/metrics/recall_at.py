"""Recall at k."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Metric, Value
from gradtrain.lazy import Tensor, torch

AT_ONCE = 1024
"""Rows of the table of distances that are held at a time."""


class RecallAt(Metric):
    """The share of samples that find one of their own label among their k nearest neighbours.

    value     mean_i [ some j among the k nearest of e_i, j ≠ i, has y_j = y_i ], by Euclidean distance
    paper     Jégou, Douze & Schmid (2011), IEEE TPAMI 33(1):117-128
    note      Neighbours are looked for in the whole split; the prediction is an embedding.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class",)
    mode: ClassVar[Literal["min", "max"]] = "max"
    cases = [{"k": 1}, {"k": 5}]

    k: PositiveInt = 1
    """Neighbours that are looked at."""

    def start(self, kind: str, facts: Facts) -> _Neighbours:
        return _Neighbours(self.k)


class _Neighbours:
    def __init__(self, k: int) -> None:
        self.k = k
        self.points: list[Tensor] = []
        self.labels: list[Tensor] = []

    def add(self, prediction: Tensor, target: Tensor) -> None:
        self.points.append(prediction.detach())
        self.labels.append(target)

    def value(self) -> Value:
        if not self.points or sum(map(len, self.points)) < 2:
            return float("nan")
        points, labels = torch.cat(self.points), torch.cat(self.labels)
        k = min(self.k, len(points) - 1)
        found = 0
        for start in range(0, len(points), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            distance = torch.cdist(points[rows], points)
            own = torch.arange(start, start + len(distance), device=points.device)
            distance[torch.arange(len(distance)), own] = float("inf")
            nearest = labels[distance.topk(k, dim=1, largest=False).indices]
            found += int((nearest == labels[rows].unsqueeze(1)).any(dim=1).sum())
        return found / len(points)
