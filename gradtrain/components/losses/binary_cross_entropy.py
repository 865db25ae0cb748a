"""Binary cross-entropy from raw scores."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch
from gradtrain.problems import Problem


class BinaryCrossEntropy(Loss):
    """How surprised the model is by a yes or no: minus the logarithm of the answer's probability.

    With the raw score s = prediction, σ(s) = 1/(1 + e^-s), the answer y = target in 0..1 and c = pos_weight:

    value     -[c y log σ(s) + (1 - y) log(1 - σ(s))]
    gradient  σ(s) (1 - y + c y) - c y  with respect to prediction
    paper     PyTorch documentation, BCEWithLogitsLoss; Cox (1958), J. R. Stat. Soc. B 20(2):215-242
    note      Raw scores, no sigmoid before it. Several labels a sample: one column each.
    """

    kinds = ("binary", "multilabel")
    applies = ("sigmoid",)
    cases = [{}, {"pos_weight": 3.0}, {"pos_weight": (0.5, 1.0, 4.0, 9.3)}, {"reduce": "sum_per_sample"}]

    pos_weight: PositiveFloat | Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = 1.0
    """How many times a positive answer counts: one number for all, or one a column (the last axis)."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            prediction, target, reduction="none", pos_weight=self._factor(prediction)
        )

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(prediction, target, pos_weight=self._factor(prediction))

    def _factor(self, prediction: Tensor) -> Tensor | None:
        if isinstance(self.pos_weight, tuple) and len(self.pos_weight) != prediction.shape[-1]:
            columns = prediction.shape[-1]
            raise Problem(
                "loss-weights",
                f"`pos_weight` has {len(self.pos_weight)} numbers, the prediction {columns} columns",
                why=f"it is one number, or one a column; the prediction is {list(prediction.shape)}",
                help=f"write {columns} numbers under `pos_weight`, or one for all columns",
            )
        return None if self.pos_weight == 1.0 else prediction.new_tensor(self.pos_weight)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        c = prediction.new_tensor(self.pos_weight)
        log_yes = prediction.clamp(max=0) - torch.log1p(torch.exp(-prediction.abs()))
        log_no = log_yes - prediction
        return -(c * target * log_yes + (1 - target) * log_no)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        c = prediction.new_tensor(self.pos_weight)
        yes = 1 / (1 + torch.exp(-prediction))
        return g * (yes * (1 - target + c * target) - c * target)

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """The family's, or of one column a `pos_weight`; answers between no and yes; an extra axis."""
        shared = not isinstance(self.pos_weight, tuple)
        width = 3 if isinstance(self.pos_weight, float) else len(self.pos_weight)
        points = super().samples(generator) if shared else []
        for scale, *shape in ((2, 7), (30, 5), (2, 1), (2, 3, 2)):
            score = scale * torch.randn(*shape, width, generator=generator, dtype=torch.float64)
            answer = torch.rand(score.shape, generator=generator, dtype=torch.float64)
            points += [(score, answer), (score, answer.round())]
        return points
