"""Contrastive loss of pairs."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import Tensor, torch


class Contrastive(Loss):
    """Pairs of the same kind are pulled together, different ones pushed apart until they are `margin` away.

    With d = prediction, the distance of a pair:

    value     d²/2  for a pair of the same kind,  else  max(0, margin - d)²/2
    gradient  d,  or  -max(0, margin - d)  for a different pair,  with respect to prediction
    paper     Hadsell, Chopra & LeCun (2006), CVPR, doi:10.1109/CVPR.2006.100
    shape     prediction [batch, 1], distances of 0 or more; target [batch, 1] of 0 and 1
    note      The paper's Y is 1 for a different pair (`same_label: 0`); other programs write 1 for the same, so it must
              be said. Some leave out the half.
    """

    kinds = ("binary",)
    distances: ClassVar[bool] = True
    cases = [
        {"same_label": 1},
        {"same_label": 0},
        {"same_label": 1, "margin": 0.5, "reduce": "sum_per_sample"},
    ]

    margin: PositiveFloat = 1.0
    """The distance from which on a different pair costs nothing."""
    same_label: Literal[0, 1]
    """The target that means the pair is of the same kind."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        same = target if self.same_label == 1 else 1 - target
        apart = torch.relu(self.margin - prediction).square()
        return 0.5 * (same * prediction.square() + (1 - same) * apart)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        apart = torch.where(prediction < self.margin, self.margin - prediction, 0.0)
        return torch.where(target == self.same_label, prediction**2 / 2, apart**2 / 2)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        apart = torch.where(prediction < self.margin, prediction - self.margin, 0.0)
        return g * torch.where(target == self.same_label, prediction, apart)

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.margin - prediction

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Distances near, far, zero and exactly at the margin."""
        same = torch.randint(0, 2, (8, 1), generator=generator).double()
        distance = 2 * torch.rand(8, 1, generator=generator, dtype=torch.float64)
        still = torch.zeros_like(distance)
        return [(distance, same), (50 * distance, same), (still, same), (still + self.margin, same)]
