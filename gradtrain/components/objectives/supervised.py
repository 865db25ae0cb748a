"""Supervised learning: one network, inputs and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.objectives import Batch, Networks, Objective, Task, Terms
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.lazy import Tensor


class Supervised(Objective):
    """The network's answer to x is compared with y, and the weights move to make the loss smaller.

    value     total = Σ_i weight_i · loss_i(model(x), y)
    gradient  ∂total/∂w = Σ_i weight_i · (∂loss_i/∂prediction) · (∂prediction/∂w)
    """

    points: ClassVar[tuple[Literal["real", "fake"], ...]] = ("real",)

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Supervised(losses)


class _Supervised(Task):
    def __init__(self, losses: Sequence[WeightedLoss]) -> None:
        self.terms = Weighted(losses)
        self.seen: Batch = {}

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["y"])

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        self.seen = batch
        return self.terms(networks["model"](batch["x"]), batch["y"])

    def points(self, update: str) -> Mapping[str, Tensor]:
        return {"real": self.seen["x"]}

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        prediction, target = networks["model"](batch["x"]), batch["y"]
        return self.terms(prediction, target), prediction, target

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["model"](batch["x"])  # type: ignore[no-any-return]
