"""Zero mean and unit variance, learned."""

from __future__ import annotations

from gradtrain.components.transforms import Fitted, Transform
from gradtrain.lazy import Tensor, torch


class Standardize(Transform):
    """Gives every feature zero mean and unit variance over the train split.

    value     (x - mean) / std,  std = 1 where a feature never changes
    note      Fitted on the train split only, with the biased standard deviation; stored with the run.
    """

    def fit(self, x: Tensor) -> Fitted:
        values = x.to(torch.float64)
        std = values.std(dim=0, correction=0)
        return {"mean": values.mean(dim=0).float(), "std": torch.where(std > 0, std, 1.0).float()}

    def forward(self, x: Tensor, fitted: Fitted) -> Tensor:
        return (x.to(torch.float32) - fitted["mean"]) / fitted["std"]
