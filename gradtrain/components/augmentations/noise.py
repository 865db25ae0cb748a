"""Gaussian noise on the input."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.augmentations import Augmentation
from gradtrain.lazy import Tensor, torch


class Noise(Augmentation):
    """Adds independent normal numbers to every input.

    value     x + std · n,  n standard normal
    paper     Bishop (1995), Neural Computation 7(1):108-116, doi:10.1162/neco.1995.7.1.108
    """

    cases = [{"std": 0.1}]

    std: PositiveFloat
    """Standard deviation, in units of the transformed input."""

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x + self.std * torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
