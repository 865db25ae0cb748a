"""The family of activations."""

from __future__ import annotations

from collections.abc import Mapping

from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape, Stage


class Activation(Stage):
    """An activation is a function without parameters that keeps the shape `[batch, ...]` and the dtype.

    Channels (for softmax: the classes) are axis 1. Inputs are drawn from the real line, plus 0, the kinks and
    large |x|; at a kink the closed form states PyTorch's convention.
    """

    def forward(self, x: Tensor) -> Tensor:
        """What trains: PyTorch's kernel."""
        raise NotImplementedError

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        """What was published."""
        raise NotImplementedError

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        """The closed-form derivative times the incoming gradient `g`, both of the shape of `x`."""
        raise NotImplementedError

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": self.derivative(g, x)}

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Function

        return Function(self)

    def samples(self, generator: torch.Generator) -> list[Tensor]:
        """Inputs `[batch, channel]` in float64: generic ones, and 0, ±1, ±3 and large |x| on purpose."""
        edges = torch.tensor(
            [[0.0, -0.0, 1.0, -1.0], [3.0, -3.0, 6.0, -6.0], [30.0, -30.0, 300.0, -300.0]],
            dtype=torch.float64,
        )
        return [2 * torch.randn(6, 4, generator=generator, dtype=torch.float64), edges]
