"""nn.Modules that torch lacks. Imported where a module is built, never before: this file imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn as nn
from torch import Tensor

if TYPE_CHECKING:
    from gradtrain.components.activations import Activation


class Function(nn.Module):
    """A function without parameters, as a module."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.forward = activation.forward

    def forward(self, x: Tensor) -> Tensor:  # the instance's own `forward` above saves one call a step
        return self.activation.forward(x)
