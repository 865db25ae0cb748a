"""The gradient penalty of Wasserstein GANs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gradtrain.components.regularizers import Regularizer, rows
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem


class GradientPenalty(Regularizer):
    """Keeps the slope of a critic at 1 between real and made-up samples, so that it measures a distance.

    With x = u real + (1 - u) fake, u uniform in 0..1 for every sample, and s = ∂ critic(x) / ∂x, one row a sample:

    value     strength mean (‖s‖ - target)²
    gradient  2 strength (‖s‖ - target) s / ‖s‖ / batch, and 0 where s = 0;  by the weights through s: differentiated
              twice
    paper     Gulrajani et al. (2017), NeurIPS, arXiv:1704.00028
    note      u is drawn for every sample: one u a batch, or a normal one, would measure the slope elsewhere. Batch norm
              in the critic mixes the samples, whose slopes are then no longer their own.
    """

    of: ClassVar[Literal["weight", "output", "input_gradient", "constraint"]] = "input_gradient"
    cases = [{}, {"strength": 0.3, "target": 0.0}, {"at": "real"}]

    strength: Annotated[float, Field(ge=0)] = 10.0
    """λ, in units of the loss."""
    target: Annotated[float, Field(ge=0)] = 1.0
    """The slope that costs nothing."""
    at: Literal["interpolates", "real", "fake"] = "interpolates"
    """Where the slope is measured."""

    def forward(self, weight: Tensor) -> Tensor:
        slope = torch.linalg.vector_norm(rows(weight), dim=1)
        value: Tensor = (slope - self.target).square().mean() * self.strength
        return value

    def textbook(self, weight: Tensor) -> Tensor:
        slope = (rows(weight) ** 2).sum(dim=1).sqrt()
        return self.strength * ((slope - self.target) ** 2).mean()

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        flat = rows(weight)
        slope = (flat**2).sum(dim=1, keepdim=True).sqrt()
        unit = torch.where(slope > 0, flat / torch.where(slope > 0, slope, 1.0), 0.0)
        return (g * 2 * self.strength * (slope - self.target) * unit / len(flat)).reshape(weight.shape)

    def kink(self, weight: Tensor) -> Tensor | None:
        return torch.linalg.vector_norm(rows(weight), dim=1) if self.target else None

    @property
    def fakes(self) -> bool:
        return self.at != "real"

    def points(self, real: Tensor, fake: Tensor | None) -> Tensor:
        if self.at == "real":
            return real
        if fake is None:
            raise Problem(
                "no-fakes",
                f"`gradient_penalty` at `{self.at}` needs made-up samples, and this objective makes none",
                help="write `at: real`, or use it in a `gan`",
            )
        if self.at == "fake":
            return fake
        u = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype).to(real.device)
        return u * real + (1 - u) * fake
