"""A function at a point, with both its faces: what every kind of proof is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Shape

NEAR = 1e-3
"""Inputs this close to a kink are drawn anew: one rounding decides the side there. Exactly on it is fine."""

Point = TypeVar("Point", bound=tuple[Tensor, ...])
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Subject:
    """A function of tensors at a point.

    `textbook` and `gradient` read the tensors in `inputs`; those named in `leaves` are differentiable leaves of
    autograd's graph.
    """

    inputs: Mapping[str, Tensor]
    leaves: Sequence[str]
    implementation: Callable[[Mapping[str, Tensor]], Tensor]
    """The function of tensors by the names of `inputs`: of these, or of others in their places."""
    textbook: Callable[[], Tensor]
    gradient: Callable[[Tensor], Mapping[str, Tensor]]
    """Incoming gradient, in the shape of the result → closed-form derivative by every leaf."""
    shape: Shape
    """The result's shape by the family's contract."""
    of: str = "forward"
    """Which number this is: "forward", or a loss's "mean" or "reduced"."""
    sample: int = 0
    point: str = ""
    layout: Callable[[Tensor], Tensor] = field(default=lambda g: g)
    """How the incoming gradient lies in memory."""
    buffers: Sequence[Tensor] = ()
    """What a call moves beside its result."""

    def result(self) -> Tensor:
        return self.implementation(self.inputs)


def leaf(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.detach().to(dtype).requires_grad_() if x.is_floating_point() else x


def said(name: str, x: Tensor, how: str = "") -> str:
    return f"{name} {list(x.shape)} {str(x.dtype).removeprefix('torch.')}{', ' if how else ''}{how}"


def incoming_last(gradient: Callable[..., Answer], x: Tensor, g: Tensor, **parameters: Tensor) -> Answer:
    """A closed form whose incoming gradient is given last."""
    return gradient(g, x, **parameters)


def away_from_kinks(
    draw: Callable[[], list[Point]], kink: Callable[..., Tensor | None], generator: torch.Generator
) -> list[Point]:
    """Samples on a kink or at least `NEAR` from it; one that redrawing does not change is nudged."""
    points = draw()
    for number, point in enumerate(points):
        for _ in range(1000):
            if not _near(kink(*point)):
                break
            x, *rest = draw()[number]
            if torch.equal(x, points[number][0]):
                x = x + 0.01 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
            point = (x, *rest)  # type: ignore[assignment]
        points[number] = point
    return points


def _near(distance: Tensor | None) -> bool:
    return distance is not None and bool(((distance != 0) & (distance.abs() < NEAR)).any())
