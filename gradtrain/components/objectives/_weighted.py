"""A weighted list of losses on one prediction and one target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gradtrain.components.losses import Loss, WeightedLoss
from gradtrain.components.objectives import Terms
from gradtrain.lazy import Tensor


class Weighted:
    """total = Σ weight · loss(prediction, target).

    Losses that can leave targets out leave out those marked `ignored`, unless the config names another mark.
    """

    def __init__(self, losses: Sequence[WeightedLoss], ignored: int | None = None) -> None:
        parts = [_without(item.part, ignored) for item in losses]
        names = names_of(losses)
        self.items = [(name, part.reduced, item.weight) for name, part, item in zip(names, parts, losses, strict=True)]
        self.first = parts[0]

    def __call__(self, prediction: Tensor, target: Tensor) -> Terms:
        if len(self.items) == 1:
            name, loss, weight = self.items[0]
            value = loss(prediction, target)
            return Terms(value if weight == 1.0 else weight * value, {name: value.detach()})
        values = {name: loss(prediction, target) for name, loss, _ in self.items}
        first, *rest = (weight * values[name] for name, _, weight in self.items)
        return Terms(sum(rest, first), {name: value.detach() for name, value in values.items()})

    def count(self, target: Tensor) -> Tensor | float:
        """The number of real targets, by the first loss."""
        return float(len(target)) if self.first.reduce == "sum_per_sample" else self.first.count(target)


def _without(loss: Loss, ignored: int | None) -> Loss:
    if ignored is None or getattr(loss, "ignore_index", 0) is not None:
        return loss
    return loss.model_copy(update={"ignore_index": ignored})


def names_of(losses: Sequence[WeightedLoss]) -> list[str]:
    """Names for the journal: the component's, numbered from its second use on (`mse`, `mse.2`)."""
    seen: Counter[str] = Counter()
    names = []
    for item in losses:
        seen[item.part.name()] += 1
        count = seen[item.part.name()]
        names.append(item.part.name() if count == 1 else f"{item.part.name()}.{count}")
    return names
