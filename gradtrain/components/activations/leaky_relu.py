"""The leaky rectified linear unit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class LeakyRelu(Activation):
    """Like relu, but negative numbers keep a small slope, so that no unit dies.

    value     x  where x > 0,  else slope x
    gradient  1  where x > 0,  else slope  (slope at 0)
    paper     Maas, Hannun & Ng (2013), ICML workshop on deep learning for audio, speech and language
    """

    cases = [{}, {"slope": 0.2}]

    slope: Annotated[float, Field(ge=0)] = 0.01
    """Slope for negative inputs."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope * x)

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        return torch.where(x > 0, g, self.slope * g)

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x
