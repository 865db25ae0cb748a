"""Between 0 and 1, learned."""

from __future__ import annotations

from gradtrain.components.transforms import Fitted, Transform
from gradtrain.lazy import Tensor, torch


class MinMax(Transform):
    """Moves every feature so that it runs from 0 to 1 over the train split.

    value     (x - min) / (max - min),  max - min = 1 where a feature never changes
    note      Fitted on the train split only; other splits may leave 0..1. Stored with the run.
    """

    def fit(self, x: Tensor) -> Fitted:
        low, high = x.amin(dim=0).to(torch.float32), x.amax(dim=0).to(torch.float32)
        return {"low": low, "width": torch.where(high > low, high - low, 1.0)}

    def forward(self, x: Tensor, fitted: Fitted) -> Tensor:
        return (x.to(torch.float32) - fitted["low"]) / fitted["width"]

    def inverse(self, x: Tensor, fitted: Fitted) -> Tensor:
        return x * fitted["width"] + fitted["low"]
