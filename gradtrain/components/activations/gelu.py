"""The Gaussian error linear unit."""

from __future__ import annotations

import math
from typing import Literal

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor, torch


class Gelu(Activation):
    """Weighs a number by the chance that a standard normal one is smaller: a smooth relu.

    With Φ and φ the distribution and density of the standard normal; with approximate = tanh,
    u = √(2/π) (x + 0.044715 x³):

    value     x Φ(x);  tanh: ½ x (1 + tanh u)
    gradient  Φ(x) + x φ(x);  tanh: ½ (1 + tanh u) + ½ x (1 - tanh² u) √(2/π) (1 + 0.134145 x²)
    paper     Hendrycks & Gimpel (2016), arXiv:1606.08415
    """

    cases = [{}, {"approximate": "tanh"}]

    approximate: Literal["none", "tanh"] = "none"
    """`none` is exact; `tanh` is the approximation that GPT-2 used."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x, approximate=self.approximate)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        if self.approximate == "tanh":
            return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return x / 2 * (1 + torch.erf(x / math.sqrt(2)))

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        if self.approximate == "tanh":
            t = torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
            return g * ((1 + t) / 2 + x / 2 * (1 - t**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2))
        density = torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        return g * ((1 + torch.erf(x / math.sqrt(2))) / 2 + x * density)
