"""Divergence of normal distributions from the standard one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradtrain.components.regularizers import Regularizer
from gradtrain.lazy import Tensor, torch


class NormalKl(Regularizer):
    """What it costs to describe a hidden variable instead of drawing it blindly.

    With output = (mean, log-variance) stacked on axis 1, summed over dimensions, mean over the batch:

    value     -strength ½ Σ (1 + log-variance - mean² - exp(log-variance))
    gradient  by mean: strength mean / batch;  by log-variance: strength (exp(log-variance) - 1) / (2 batch)
    paper     Kingma & Welling (2014), ICLR, appendix B, arXiv:1312.6114
    shape     output [batch, 2, size]
    """

    of: ClassVar[Literal["weight", "output", "input_gradient", "constraint"]] = "output"
    cases = [{"strength": 1.0}, {"strength": 0.3}]

    strength: Annotated[float, Field(ge=0)] = 1.0
    """A factor on the divergence, which is in nats a sample."""

    def forward(self, weight: Tensor) -> Tensor:
        mean, log_variance = weight.unbind(dim=1)
        inner = 1 + log_variance - mean.square() - log_variance.exp()
        return inner.sum() * (-0.5 * self.strength / len(weight))

    def textbook(self, weight: Tensor) -> Tensor:
        mean, variance = weight[:, 0], weight[:, 1].exp()
        per_sample = ((variance + mean**2 - 1 - variance.log()) / 2).sum(dim=1)
        return self.strength * per_sample.mean()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        mean, log_variance = weight[:, 0], weight[:, 1]
        return g * self.strength / len(weight) * torch.stack([mean, (log_variance.exp() - 1) / 2], dim=1)

    def samples(self, generator: torch.Generator) -> list[Tensor]:
        """Distributions near the standard one, that one itself, and far ones."""
        draw: dict[str, Any] = {"generator": generator, "dtype": torch.float64}
        standard = torch.zeros(2, 2, 3, dtype=torch.float64)
        return [torch.randn(5, 2, 3, **draw), standard, 4 * torch.randn(3, 2, 2, **draw)]
