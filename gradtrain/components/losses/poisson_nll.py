"""Poisson regression."""

from __future__ import annotations

from typing import Literal

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch


class PoissonNll(Loss):
    """How surprised the model is by a count, when counts scatter around a rate by the Poisson distribution.

    With rate = exp(prediction), or prediction itself by `prediction_as: rate`:

    value     rate - target log(rate),  with `full` + log(target!)
    gradient  rate - target  with respect to prediction (a logarithm);  1 - target/prediction for a rate
    paper     Nelder & Wedderburn (1972), J. R. Stat. Soc. A 135(3):370-384, doi:10.2307/2344614
    shape     prediction and target [batch, ...]; targets are counts, 0 or more
    note      A rate must be positive. PyTorch's poisson_nll_loss approximates log(target!) by Stirling's formula and
              adds 1e-8 to a rate; here both are exact.
    """

    kinds = ("value",)
    cases = [{}, {"prediction_as": "rate"}, {"full": True}, {"prediction_as": "rate", "full": True}]

    prediction_as: Literal["log_rate", "rate"] = "log_rate"
    """What the network puts out: the logarithm of the rate, which may be any number, or the rate."""
    full: bool = False
    """Add log(target!), which no prediction changes: the loss is then a log-likelihood."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        logs = self.prediction_as == "log_rate"
        loss = F.poisson_nll_loss(prediction, target, log_input=logs, eps=0.0, reduction="none")
        return loss + torch.lgamma(target + 1) if self.full else loss

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        rate, log_rate = self._rate(prediction)
        loss = rate - target * log_rate
        if not self.full:
            return loss
        factorials = torch.arange(int(target.max()) + 1, dtype=torch.float64).clamp(min=1).log().cumsum(0)
        return loss + factorials[target.long()].to(loss.dtype)

    def _rate(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        return (prediction.exp(), prediction) if self.prediction_as == "log_rate" else (prediction, prediction.log())

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        if self.prediction_as == "log_rate":
            return g * (prediction.exp() - target)
        return g * (1 - target / prediction)

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Rates around the counts, far from them, one sample, extra axes; counts with zeros among them."""
        points = []
        for size, top, *shape in ((1, 5, 7, 3), (3, 40, 5, 2), (1, 2, 1, 1), (1, 4, 2, 3, 2)):
            logs = size * torch.randn(*shape, generator=generator, dtype=torch.float64)
            counts = torch.randint(0, top, shape, generator=generator).double()
            points.append((logs if self.prediction_as == "log_rate" else logs.exp(), counts))
        return points
