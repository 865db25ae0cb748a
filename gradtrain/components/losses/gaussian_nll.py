"""Regression that states its own uncertainty."""

from __future__ import annotations

import math

from gradtrain.components.losses import Loss
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem
from gradtrain.stage import Shape


class GaussianNll(Loss):
    """How surprised the model is by a value, when it predicts a mean and how far values scatter around it.

    With mean = prediction[:, 0], s = prediction[:, 1], the logarithm of the variance, and r = mean - target:

    value     s/2 + r² exp(-s)/2,  with `full` + log(2π)/2
    gradient  r exp(-s)  with respect to mean,  (1 - r² exp(-s))/2  with respect to s
    paper     Nix & Weigend (1994), IEEE Int. Conf. Neural Networks 1:55-60, doi:10.1109/ICNN.1994.374138
    shape     prediction [batch, 2, ...], target [batch, ...]; a target [batch, n] also takes [batch, 2 n], the n
              means before the n logarithms. One number per element of the target
    note      PyTorch's gaussian_nll_loss takes the variance itself, and raises it to 1e-6 where it is smaller.
    """

    kinds = ("value",)
    cases = [{}, {"full": True}, {"reduce": "sum_per_sample"}]

    full: bool = False
    """Add log(2π)/2, which no prediction changes: the loss is then a log-likelihood."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        mean, s = self._parts(prediction, target)
        loss = (s + torch.square(mean - target) * torch.exp(-s)) / 2
        return loss + math.log(2 * math.pi) / 2 if self.full else loss

    def _parts(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if prediction.numel() != 2 * target.numel():
            raise Problem(
                "loss-shape",
                f"`gaussian_nll` has a prediction {list(prediction.shape)} for a target {list(target.shape)}",
                why="it needs two numbers for each of the target's: a mean and the logarithm of a variance",
                help="give the last layer twice as many outputs as the target has columns",
            )
        mean, s = prediction.reshape(len(target), 2, *target.shape[1:]).unbind(1)
        return mean, s

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        mean, s = self._parts(prediction, target)
        variance = s.exp()
        loss = (mean - target) ** 2 / (2 * variance) + variance.sqrt().log()
        return loss + math.log(math.sqrt(2 * math.pi)) if self.full else loss

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        mean, s = self._parts(prediction, target)
        r, precision = mean - target, 1 / s.exp()
        return torch.stack([g * r * precision, g * (1 - r**2 * precision) / 2], dim=1).reshape(prediction.shape)

    def outputs(self, columns: int) -> tuple[Shape, ...]:
        return ((2 * columns,), (2, columns))

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        return tuple(target.shape)

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Stacked and side by side; small and large variances; extra axes; a perfect mean."""
        points = []
        for size, given, wanted in (
            (1, (7, 2, 3), (7, 3)),
            (1, (7, 6), (7, 3)),
            (3, (5, 2), (5, 1)),
            (1, (1, 2), (1,)),
            (1, (2, 2, 3, 2), (2, 3, 2)),
        ):
            prediction = size * torch.randn(given, generator=generator, dtype=torch.float64)
            points.append((prediction, torch.randn(wanted, generator=generator, dtype=torch.float64)))
        return [*points, (points[0][0], points[0][0][:, 0].clone())]
