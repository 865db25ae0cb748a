"""Zero mean and unit variance, learned."""

from __future__ import annotations

from gradtrain.components.transforms import Fitted, Transform
from gradtrain.lazy import Tensor, torch

AT_ONCE = 4096
"""Samples turned into float64 at a time: all of a large set of images would take eight times its own memory."""


class Standardize(Transform):
    """Gives every feature zero mean and unit variance over the train split.

    value     (x - mean) / std,  std = 1 where a feature never changes
    note      Fitted on the train split only, with the biased standard deviation; stored with the run. A feature that
              never changes in the train split becomes 0 there, instead of 0/0.
    """

    def fit(self, x: Tensor) -> Fitted:
        shift = x[0].to(torch.float64)  # large values with a small spread keep their digits
        total, squares = torch.zeros_like(shift), torch.zeros_like(shift)
        for chunk in torch.split(x, AT_ONCE):
            total += (chunk.to(torch.float64) - shift).sum(dim=0)
        mean = shift + total / len(x)
        for chunk in torch.split(x, AT_ONCE):
            squares += (chunk.to(torch.float64) - mean).square().sum(dim=0)
        constant = x.amin(dim=0) == x.amax(dim=0)  # exactly: the sums above would leave a rounding error to divide by
        std = (squares / len(x)).sqrt().float()
        return {"mean": mean.float(), "std": torch.where(constant | (std == 0), 1.0, std)}

    def forward(self, x: Tensor, fitted: Fitted) -> Tensor:
        return (x.to(torch.float32) - fitted["mean"]) / fitted["std"]

    def inverse(self, x: Tensor, fitted: Fitted) -> Tensor:
        return x * fitted["std"] + fitted["mean"]
