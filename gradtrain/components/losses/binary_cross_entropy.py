"""Binary cross-entropy from raw scores."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch


class BinaryCrossEntropy(Loss):
    """How surprised the model is by a yes or no: minus the logarithm of the probability it gave to the answer.

    With the raw score s = prediction, σ(s) = 1/(1 + e^-s), the answer y = target in 0..1 and c = pos_weight:

    value     -[c y log σ(s) + (1 - y) log(1 - σ(s))]
    gradient  σ(s) (1 - y + c y) - c y  with respect to prediction
    paper     PyTorch documentation, BCEWithLogitsLoss; Cox (1958), J. R. Stat. Soc. B 20(2):215-242
    note      Raw scores, no sigmoid before it. Several labels a sample: one column each.
    """

    kinds = ("binary", "multilabel")
    cases = [{}, {"pos_weight": 3.0}, {"reduce": "sum_per_sample"}]

    pos_weight: PositiveFloat = 1.0
    """How many times a positive answer counts."""

    def _weight(self, prediction: Tensor) -> Tensor | None:
        return None if self.pos_weight == 1.0 else prediction.new_tensor(self.pos_weight)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(prediction, target, reduction="none", pos_weight=self._weight(prediction))

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(prediction, target, pos_weight=self._weight(prediction))

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        log_yes = -(prediction.neg().clamp(min=0) + torch.log1p(torch.exp(-prediction.abs())))
        log_no = log_yes - prediction
        return -(self.pos_weight * target * log_yes + (1 - target) * log_no)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        yes = 1 / (1 + torch.exp(-prediction))
        return g * (yes * (1 - target + self.pos_weight * target) - self.pos_weight * target)
