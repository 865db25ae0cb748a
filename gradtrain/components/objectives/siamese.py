"""Siamese networks: do two samples belong together?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import Batch, Complaint, Networks, Objective, Outline, Task, Terms, width
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem

NEAR = 1e-12
"""Added to a squared distance: the root's derivative at 0 is infinite."""


class Siamese(Objective):
    """One network reads two samples; from both answers follows whether they have the same label.

    With u = embed(a), v = embed(b) and y = 1 for the same label:

    value     concat: total = loss(head([u, v]), y);  abs_difference: loss(head(|u - v|), y);
              distance: total = loss(‖u - v‖, y), ‖·‖ = √(Σ (u - v)² + 1e-12)
    gradient  both samples teach the same weights: ∂total/∂w = (∂total/∂u) · (∂u/∂w) + (∂total/∂v) · (∂v/∂w)
    paper     Bromley et al. (1993), NIPS; Hadsell, Chopra & LeCun (2006), CVPR
    note      Pairs come from `data.pairs`. With `distance` there is no head, and the loss is `contrastive`.
    """

    kind: ClassVar[TargetKind | None] = "binary"
    embeds: ClassVar[bool] = True
    cases = [{}, {"combine": "distance"}]

    combine: Literal["concat", "abs_difference", "distance"] = "concat"
    """What the head reads; `distance` has none."""

    @property
    def roles(self) -> tuple[str, ...]:
        return ("model",) if self.combine == "distance" else ("embed", "head")

    @property
    def distances(self) -> bool:
        return self.combine == "distance"

    @property
    def readers(self) -> tuple[str, ...]:
        return self.roles[:1]

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        if self.combine == "distance":
            return
        embed, head = networks["embed"], networks["head"]
        twice = 2 if self.combine == "concat" else 1
        if len(embed.output) != 1:
            flat = (math.prod(embed.output),)
            yield width("embed", embed.output, flat, "the head reads features", "end with `flatten`")
        elif head.input != (twice * embed.output[0],):
            what = f"the head reads {list(head.input)}, the embeddings make {[twice * embed.output[0]]}"
            yield "head", Problem("output-width", what, help=f"write `input: {twice * embed.output[0]}`")
        if head.output != (1,):
            yield width("head", head.output, (1,), "a pair belongs together or not", "end with `linear: 1`")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Siamese(self, losses)


class _Siamese(Task):
    def __init__(self, siamese: Siamese, losses: Sequence[WeightedLoss]) -> None:
        self.siamese, self.terms = siamese, Weighted(losses)

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["y"])

    def _answer(self, networks: Networks, batch: Batch) -> Tensor:
        if self.siamese.combine == "distance":
            u, v = networks["model"](batch["a"]), networks["model"](batch["b"])
            squared: Tensor = (u - v).square().sum(dim=1, keepdim=True)
            return (squared + NEAR).sqrt()
        u, v = networks["embed"](batch["a"]), networks["embed"](batch["b"])
        both = torch.cat([u, v], dim=1) if self.siamese.combine == "concat" else (u - v).abs()
        return networks["head"](both)  # type: ignore[no-any-return]

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self.terms(self._answer(networks, batch), batch["y"])

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        prediction = self._answer(networks, batch)
        return self.terms(prediction, batch["y"]), prediction, batch["y"]

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        role = "model" if self.siamese.combine == "distance" else "embed"
        return networks[role](batch["x"])  # type: ignore[no-any-return]
