"""A draw from a normal distribution that gradients can pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Reparameterize(Layer):
    """Draws from a normal distribution by shifting and scaling noise, so that mean and spread can be learned.

    With x = (mean, log-variance) and noise ε from the standard normal distribution:

    value     y = mean + exp(log-variance / 2) ε;  in evaluation y = mean
    gradient  dmean = g,  dlog-variance = g ε exp(log-variance / 2) / 2
    paper     Kingma & Welling (2014), ICLR, section 2.4, arXiv:1312.6114
    shape     [batch, 2, size] → [batch, size]
    note      The noise comes from torch's generator, whose state a checkpoint keeps.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((2, 3),)
    random = True

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or shape[0] != 2:
            raise Misfit(
                f"`reparameterize` takes [2, size]: mean and log-variance, got {list(shape)}",
                "put `gaussian` before it",
            )
        return shape[1:]

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.attention import Reparameterize as Module

        self.output_shape(shape)
        return Module()

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        mean, log_variance = x.unbind(dim=1)
        return mean + (log_variance / 2).exp() * torch.randn_like(mean)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        mean, log_variance = x.unbind(dim=1)
        return {"x": torch.stack([g, g * torch.randn_like(mean) * (log_variance / 2).exp() / 2], dim=1)}
