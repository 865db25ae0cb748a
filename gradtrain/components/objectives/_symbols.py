"""Names in formulas, and what a derivative such as `u_xx` means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations_with_replacement

from gradtrain.formula import RESERVED
from gradtrain.lazy import Tensor, torch

HIGHEST = 6
"""No derivative is taken more often."""


def distinct(taken: Mapping[str, str], names: Iterable[str], kind: str) -> dict[str, str]:
    """Name → what it means, for the `taken` ones and these, each a `kind`. Raises ValueError where two are equal."""
    known = dict(taken)
    for name in names:
        if name in RESERVED:
            raise ValueError(f"no {kind} can be named `{name}`: formulas have it already")
        if name in known:
            raise ValueError(f"no {kind} can be named `{name}`: there is {known[name]} of that name")
        known[name] = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    return known


class Symbols(Collection[str]):
    """The names of an equation: coordinates, constants, unknowns and the derivatives of the unknowns."""

    def __init__(self, coordinates: Iterable[str], unknowns: Iterable[str], constants: Iterable[str]) -> None:
        self.coordinates, self.unknowns, self.constants = tuple(coordinates), tuple(unknowns), tuple(constants)

    def derivative(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """(unknown, coordinates in their order) of `u`, `u_x`, `u_tx`; None for what is no derivative of an unknown.

        Mixed derivatives do not depend on the order, so that `u_tx` is `u_xt`. What could be read in two ways is none.
        """
        unknown, _, below = name.partition("_")
        if unknown not in self.unknowns:
            return None
        if unknown == name:
            return unknown, ()
        readings = list(self._readings(below, HIGHEST))
        return (unknown, tuple(sorted(readings[0], key=self.coordinates.index))) if len(readings) == 1 else None

    def _readings(self, text: str, most: int) -> Iterator[tuple[str, ...]]:
        """Every way to cut a text into at most so many coordinates."""
        for first in self.coordinates if most else ():
            if text == first:
                yield (first,)
            elif text.startswith(first):
                yield from ((first, *rest) for rest in self._readings(text.removeprefix(first), most - 1))

    def __contains__(self, name: object) -> bool:
        known = name in self.coordinates or name in self.constants
        return known or (isinstance(name, str) and self.derivative(name) is not None)

    def __iter__(self) -> Iterator[str]:
        """The names as a reader would look for them; derivatives up to the second."""
        yield from (*self.coordinates, *self.unknowns, *self.constants)
        for unknown in self.unknowns:
            for times in (1, 2):
                for below in combinations_with_replacement(self.coordinates, times):
                    yield f"{unknown}_{''.join(below)}"

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Derivatives:
    """The derivatives of functions [count] by the coordinates of their points [count, coordinates].

    A derivative of higher order goes on from that of lower order, which is taken once however many need it. The
    functions' value at a point must depend on this point alone.
    """

    def __init__(self, points: Tensor, coordinates: tuple[str, ...], functions: Mapping[str, Tensor]) -> None:
        self.points, self.coordinates = points, coordinates
        self.known: dict[tuple[str, tuple[str, ...]], Tensor] = {(name, ()): value for name, value in functions.items()}
        self.slopes: dict[tuple[str, tuple[str, ...]], Tensor] = {}

    def __call__(self, name: str, below: tuple[str, ...]) -> Tensor:
        """The derivative of the function `name` by the coordinates `below`, one after the other."""
        if (name, below) not in self.known:
            *first, last = below
            slope = self._slope(name, tuple(first))
            self.known[name, below] = slope[:, self.coordinates.index(last)]
        return self.known[name, below]

    def _slope(self, name: str, below: tuple[str, ...]) -> Tensor:
        """By all coordinates at once [count, coordinates]: the sum over points has every point's own derivative."""
        if (name, below) not in self.slopes:
            value = self(name, below)
            if not value.requires_grad:
                return torch.zeros_like(self.points)
            (slope,) = torch.autograd.grad(
                value.sum(), self.points, create_graph=True, allow_unused=True, materialize_grads=True
            )
            self.slopes[name, below] = slope
        return self.slopes[name, below]
