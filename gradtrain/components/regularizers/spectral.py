"""The spectral penalty."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gradtrain.components.regularizers import Regularizer, rows
from gradtrain.lazy import Tensor, torch


class Spectral(Regularizer):
    """A pull on the strongest direction of a weight only: what stretches its input most.

    With W the weight as a matrix, one row an output, σ its largest singular value, u and v the vectors of it:

    value     ½ strength σ²
    gradient  strength σ u vᵀ
    paper     Yoshida & Miyato (2017), arXiv:1705.10941
    note      σ is exact, by a singular value decomposition; the paper approximates it by power iteration. Where two
              directions stretch equally the derivative jumps.
    """

    cases = [{"strength": 0.3}]

    strength: Annotated[float, Field(ge=0)]
    """λ, in units of the loss per squared unit of weight."""

    def forward(self, weight: Tensor) -> Tensor:
        value: Tensor = torch.linalg.matrix_norm(rows(weight), ord=2).square() * (self.strength / 2)
        return value

    def textbook(self, weight: Tensor) -> Tensor:
        w = rows(weight)
        value: Tensor = self.strength / 2 * torch.linalg.eigvalsh(w.T @ w)[-1]
        return value

    def gradient(self, g: Tensor, weight: Tensor) -> Tensor:
        u, s, vh = torch.linalg.svd(rows(weight), full_matrices=False)
        value: Tensor = (g * self.strength * s[0] * torch.outer(u[:, 0], vh[0])).reshape(weight.shape)
        return value

    def samples(self, generator: torch.Generator) -> list[Tensor]:
        """A matrix, a filter bank, a vector."""
        draw: dict[str, Any] = {"generator": generator, "dtype": torch.float64}
        return [torch.randn(5, 4, **draw), torch.randn(3, 2, 3, 3, **draw), torch.randn(6, **draw)]
