"""Supervised learning: one network, inputs and targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.objectives import Batch, Networks, Objective, Task, Terms
from gradtrain.lazy import Tensor


class Supervised(Objective):
    """The network's answer to x is compared with y, and the weights move to make the loss smaller.

    value     total = Σ_i weight_i · loss_i(model(x), y)
    gradient  ∂total/∂w = Σ_i weight_i · (∂loss_i/∂prediction) · (∂prediction/∂w)
    """

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Supervised(losses)


class _Supervised(Task):
    def __init__(self, losses: Sequence[WeightedLoss]) -> None:
        names = names_of(losses)
        self.items = [(name, item.part.reduced, item.weight) for name, item in zip(names, losses, strict=True)]
        self.first = losses[0].part

    def count(self, batch: Batch) -> Tensor | float:
        target = batch["y"]
        return float(len(target)) if self.first.reduce == "sum_per_sample" else self.first.count(target)

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self.terms(networks["model"](batch["x"]), batch["y"])

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        prediction, target = networks["model"](batch["x"]), batch["y"]
        return self.terms(prediction, target), prediction, target

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["model"](batch["x"])  # type: ignore[no-any-return]

    def terms(self, prediction: Tensor, target: Tensor) -> Terms:
        if len(self.items) == 1:
            name, loss, weight = self.items[0]
            value = loss(prediction, target)
            return Terms(value if weight == 1.0 else weight * value, {name: value.detach()})
        values = {name: loss(prediction, target) for name, loss, _ in self.items}
        first, *rest = (weight * values[name] for name, _, weight in self.items)
        return Terms(sum(rest, first), {name: value.detach() for name, value in values.items()})


def names_of(losses: Sequence[WeightedLoss]) -> list[str]:
    """Names for the journal: the component's, numbered from its second use on (`mse`, `mse.2`)."""
    seen: Counter[str] = Counter()
    names = []
    for item in losses:
        seen[item.part.name()] += 1
        count = seen[item.part.name()]
        names.append(item.part.name() if count == 1 else f"{item.part.name()}.{count}")
    return names
