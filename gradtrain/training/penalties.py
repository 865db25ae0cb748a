"""Regularization: the penalties of a run on the parameters they select, inside the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from gradtrain.components.regularizers import Regularizer
from gradtrain.training.selectors import Named


@dataclass(frozen=True)
class Applied:
    """One penalty and the parameters it applies to."""

    name: str
    """Its name in the journal."""
    regularizer: Regularizer
    weight: float
    parameters: tuple[Named, ...]


class Penalties:
    """All penalties of a run. `updates` maps an update's name to the parameters it changes: it pays only for those."""

    def __init__(self, applied: Sequence[Applied], updates: Mapping[str, Sequence[Named]]) -> None:
        self.applied = tuple(applied)
        self.by_update: dict[str, list[tuple[str, Regularizer, float, list[Tensor]]]] = {}
        for update, named in updates.items():
            owned = {id(n.tensor) for n in named}
            chosen = [
                (a.name, a.regularizer, a.weight, [n.tensor for n in a.parameters if id(n.tensor) in owned])
                for a in applied
            ]
            self.by_update[update] = [entry for entry in chosen if entry[3]]

    def added(self, update: str, total: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The total with every penalty added, and each penalty by its name, weighted, detached."""
        values: dict[str, Tensor] = {}
        for name, regularizer, weight, tensors in self.by_update[update]:
            value = regularizer.forward(tensors[0])
            for tensor in tensors[1:]:
                value = value + regularizer.forward(tensor)
            value = value if weight == 1.0 else weight * value
            total = total + value
            values[name] = value.detach()
        return total, values
