"""Autoencoding: say the input again, through a narrow place or against noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import (
    Batch,
    Complaint,
    Drawn,
    Networks,
    Objective,
    Outline,
    Task,
    Terms,
    Wish,
    width,
)
from gradtrain.components.objectives._pictures import beside
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.lazy import Tensor, torch


class Autoencoder(Objective):
    """The network reads x, perhaps with noise on it, and must put out x itself.

    With ε from the standard normal distribution, drawn anew for every batch of training:

    value     total = loss(model(x + noise ε), x)
    gradient  ∂total/∂w = (∂loss/∂prediction) · (∂prediction/∂w); the target has none
    paper     Rumelhart, Hinton & Williams (1986), Nature 323:533-536; noise: Vincent et al. (2008), ICML
    """

    kind: ClassVar[TargetKind | None] = "value"
    accepts: ClassVar[tuple[TargetKind, ...]] = ("multilabel",)
    fields: ClassVar[tuple[str, ...] | None] = ("x",)
    labelled: ClassVar[bool] = False
    draws: ClassVar[Literal["text", "images", "table"] | None] = "images"
    sources: ClassVar[tuple[Literal["prior", "reconstruction"], ...]] = ("reconstruction",)

    cases = [{}, {"noise": 0.3}]

    noise: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the noise on the input, in units of the transformed input."""

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        model = networks["model"]
        if math.prod(model.output) != math.prod(model.input):
            why = "it must say its input again, number by number"
            yield width("model", model.output, model.input, why, "change the width of the last layer")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Autoencoder(self.noise, losses)


class _Autoencoder(Task):
    def __init__(self, noise: float, losses: Sequence[WeightedLoss]) -> None:
        self.noise, self.terms = noise, Weighted(losses)

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["x"])

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        x = batch["x"]
        seen = x + self.noise * torch.randn_like(x) if self.noise else x
        return self.terms(networks["model"](seen).reshape(x.shape), x)

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        x = batch["x"]
        prediction = networks["model"](x).reshape(x.shape)
        return self.terms(prediction, x), prediction, x

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["model"](batch["x"])  # type: ignore[no-any-return]

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        x = wish.batch["x"]
        return Drawn(images=beside(x, networks["model"](x).reshape(x.shape)))
