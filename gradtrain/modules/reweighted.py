"""Modules that make the weight of another one. Imported where one is built: this file imports torch."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor


class Reweighted(nn.Module):
    """A module whose weight is made anew for every forward pass.

    The rows of a weight, one an output, lie along its first axis. A transposed convolution with `groups` keeps its
    outputs on the second axis: [in, out/groups, ...]; 0 groups: no transposed convolution.
    """

    def __init__(self, inner: nn.Module, groups: int) -> None:
        super().__init__()
        self.groups, self.inner = groups, inner

    def made(self) -> Tensor:
        """The weight of this forward pass."""
        raise NotImplementedError

    def filled(self, names: set[str]) -> None:
        """Follow own parameters of these names, which have been filled with new numbers."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        self.inner.weight = self.made()
        try:
            return self.inner(x)  # type: ignore[no-any-return]
        finally:
            del self.inner.weight  # it holds a graph, and no copy can be made of that

    def grouped(self, weight: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """The weight, and the axes of it along which a row lies."""
        if not self.groups:
            return weight, tuple(range(1, weight.ndim))
        apart = weight.reshape(self.groups, -1, *weight.shape[1:])
        return apart, (1, *range(3, apart.ndim))


class WeightNorm(Reweighted):
    """A module whose weight is a direction times a length, one a row."""

    def __init__(self, inner: nn.Module, groups: int) -> None:
        super().__init__(inner, groups)
        self.direction = taken(inner)
        self.magnitude = nn.Parameter(self._lengths().detach().flatten())

    def _lengths(self) -> Tensor:
        apart, axes = self.grouped(self.direction)
        lengths: Tensor = torch.linalg.vector_norm(apart, dim=axes, keepdim=True)
        return lengths

    def made(self) -> Tensor:
        lengths = self._lengths()
        apart, _ = self.grouped(self.direction)
        return (self.magnitude.reshape(lengths.shape) / lengths * apart).reshape(self.direction.shape)

    @torch.no_grad()
    def filled(self, names: set[str]) -> None:
        """The lengths of a new direction, unless they were filled as well."""
        if names == {"direction"}:
            self.magnitude.copy_(self._lengths().flatten())


class SpectralNorm(Reweighted):
    """A module whose weight is divided by its largest singular value, as power iteration estimates it."""

    u: Tensor
    v: Tensor

    def __init__(self, inner: nn.Module, groups: int, iterations: int) -> None:
        super().__init__(inner, groups)
        self.iterations = iterations
        self.weight = taken(inner)
        matrix = self._matrix()
        u = torch.randn(len(matrix))
        self.register_buffer("u", u / u.norm())
        self.register_buffer("v", torch.zeros(matrix.shape[1]))
        self.filled({"weight"})

    def _matrix(self) -> Tensor:
        """[out, everything else]."""
        apart, _ = self.grouped(self.weight)
        return apart.transpose(1, 2).flatten(0, 1).flatten(1) if self.groups else apart.flatten(1)

    @torch.no_grad()
    def _iterate(self) -> None:
        w = self._matrix()
        self.v = nn.functional.normalize(w.T @ self.u, dim=0)
        self.u = nn.functional.normalize(w @ self.v, dim=0)

    def filled(self, names: set[str]) -> None:
        """Begin near the truth."""
        for _ in range(15):
            self._iterate()

    def made(self) -> Tensor:
        if self.training:
            for _ in range(self.iterations):
                self._iterate()
        return self.weight / (self.u @ self._matrix() @ self.v)


def taken(module: nn.Module) -> nn.Parameter:
    """The weight of a module, which has none from now on but the one that is made. Raises TypeError without one."""
    weight = module._parameters.pop("weight")
    if weight is None:
        raise TypeError("the module has no weight")
    return weight
