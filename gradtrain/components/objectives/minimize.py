"""A function of a few variables, to be made as small as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import Batch, Networks, Objective, Task, Terms
from gradtrain.components.objectives._symbols import distinct
from gradtrain.formula import Formula, Symbol, parse
from gradtrain.lazy import Tensor


class Minimize(Objective):
    """A formula is the loss and its variables are the weights: gradient descent with nothing in the way.

    value     total = formula(v),  v = model(x) whatever x is: the network is one layer `variables`
    gradient  ∂total/∂v_i, the derivative of the formula by its i-th name
    shape     model [batch, ...] → [batch, names]
    note      Every evaluation yields the formula's value and where the variables stand.
    """

    kind: ClassVar[TargetKind | None] = "value"
    fields: ClassVar[tuple[str, ...] | None] = ("x",)
    labelled: ClassVar[bool] = False
    needs_loss: ClassVar[bool] = False
    cases = [{"formula": "(x - 3)^2 + 10 * y^2", "names": ("x", "y")}]

    formula: str
    """What is minimised, of the names below: `(x - 3)^2 + 10 * y^2`."""
    names: Annotated[tuple[Symbol, ...], Field(min_length=1)]
    """The variables, in the order in which the network puts them out."""

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        distinct(dict.fromkeys(("formula", "loss", "total"), "a number"), self.names, "variable")
        return self

    @property
    def measures(self) -> Mapping[str, Literal["min", "max"]]:
        return dict.fromkeys(("formula", *self.names), "min")

    def parsed(self) -> Formula:
        """The tree of the formula. Raises `Problem` (configuration)."""
        return parse(self.formula, self.names)

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Minimize(self.names, self.parsed())


class _Minimize(Task):
    def __init__(self, names: tuple[str, ...], formula: Formula) -> None:
        self.names, self.formula = names, formula

    def count(self, batch: Batch) -> float:
        return float(len(batch["x"]))

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self._terms(networks["model"](batch["x"]))

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        variables = networks["model"](batch["x"])
        return self._terms(variables), variables, variables

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["model"](batch["x"])  # type: ignore[no-any-return]

    def _terms(self, variables: Tensor) -> Terms:
        columns: Mapping[str, Tensor] = dict(zip(self.names, variables.unbind(dim=1), strict=True))
        total = self.formula.value(columns).mean()
        seen = {name: column.detach().mean() for name, column in columns.items()}
        return Terms(total, {"formula": total.detach(), **seen})
