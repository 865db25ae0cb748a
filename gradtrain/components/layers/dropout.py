"""Dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Dropout(Layer):
    """Silences every number with probability p while training, so that no unit can rely on a single other one.

    With m a mask of independent 0 and 1, 1 with probability 1 - p, drawn anew for every batch:

    value     y = x m / (1 - p);  in evaluation y = x
    gradient  dx = g m / (1 - p)
    paper     Srivastava et al. (2014), J. Mach. Learn. Res. 15:1929-1958
    note      The mask comes from torch's generator, whose state a checkpoint keeps.
    """

    random = True
    cases = [{}, {"p": 0.2}, {"p": 0.0}]

    p: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Probability that a number is silenced."""

    def build(self, shape: Shape) -> nn.Module:
        return nn.Dropout(self.p)

    def _mask(self, x: Tensor) -> Tensor:
        """The mask that torch's kernel draws from the generator as it stands; for p = 0 it draws nothing."""
        return torch.ones_like(x) if self.p == 0 else torch.empty_like(x).bernoulli_(1 - self.p)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x * self._mask(x) / (1 - self.p)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": g * self._mask(x) / (1 - self.p)}
