"""Samplers whose derivative is that of a distribution, not of the number drawn for fixed random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

FOLLOWED = frozenset(("_standard_gamma", "_sample_dirichlet"))
"""They reject proposals: for fixed random numbers what they draw jumps."""


class Following(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """torch's gamma and Dirichlet samplers, each led from the number that it drew first along torch's own derivative.

    What is made of their numbers is proven so; their own derivative, implicit reparametrization, is taken on trust.
    Source: Figurnov et al. (2018), arXiv:1805.08498; Jankowiak & Obermeyer (2018), arXiv:1806.01851.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.drawn: list[tuple[Tensor, Tensor]] = []
        """(concentration, number) of every draw of the first call."""
        self.count = 0

    def __enter__(self) -> Any:
        self.count = 0
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if name not in FOLLOWED:
            return answer
        number, self.count = self.count, self.count + 1
        if number == len(self.drawn):
            self.drawn.append((args[0].detach().clone(), answer.detach().clone()))
        there, drawn = self.drawn[number]
        return answer if drawn.shape != answer.shape else drawn + _slope(name, there, drawn, args[0] - there)


def _slope(name: str, there: Tensor, drawn: Tensor, step: Tensor) -> Tensor:
    if name == "_standard_gamma":
        return torch._standard_gamma_grad(there, drawn) * step
    part = torch._dirichlet_grad(drawn, there, there.sum(-1, keepdim=True).expand_as(there)) * step
    return part - drawn * part.sum(-1, keepdim=True)
