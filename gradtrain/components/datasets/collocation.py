"""Points at which an equation must hold."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._generated import Seed, drawn
from gradtrain.formula import RESERVED, Symbol
from gradtrain.lazy import Tensor, torch
from gradtrain.registry import Record


class _Either(Record):
    any: Annotated[tuple[float, ...], Field(min_length=1, max_length=64)]
    """Values that the coordinate takes in turn: both ends of a rod, `{any: [0.0, 1.0]}`."""


class _Points(Record):
    count: Annotated[int, Field(ge=1, le=10_000_000)]
    """Number of points."""
    sampler: Literal["sobol", "uniform", "grid"] = "sobol"
    """`sobol` fills the space evenly, `uniform` draws independently, `grid` takes equal steps and both ends."""
    where: dict[Symbol, float | _Either] = {}
    """Coordinates that are fixed: an initial condition has `{t: 0.0}`, the ends of a rod `{x: {any: [0.0, 1.0]}}`."""


class Collocation(Dataset):
    """Points in a box of coordinates, in named sets: inside of it, on its edges, at its beginning.

    value     sobol: a scrambled Sobol sequence; uniform: low + (high - low) r, r uniform in 0..1; grid: equal steps
    paper     Sobol' (1967), USSR Computational Mathematics and Mathematical Physics 7(4):86-112
    shape     one field a set, float64 [count, coordinates]; there is no x and no y
    note      The order of the coordinates in `domain` is that of the network's inputs. The sets differ in size, so that
              a step takes all of them whole: `batch_size: full`.
    """

    cases = [
        {"domain": {"x": (0.0, 1.0), "t": (0.0, 2.0)}, "points": {"inside": {"count": 100}}},
        {
            "domain": {"x": (0.0, 1.0), "t": (0.0, 2.0)},
            "points": {
                "inside": {"count": 49, "sampler": "grid"},
                "edges": {"count": 20, "where": {"x": {"any": (0.0, 1.0)}}},
                "initial": {"count": 10, "sampler": "uniform", "where": {"t": 0.0}},
            },
            "seed": 3,
        },
    ]

    domain: Annotated[dict[Symbol, tuple[float, float]], Field(min_length=1, max_length=6)]
    """Coordinate → its smallest and largest value."""
    points: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], _Points], Field(min_length=1)]
    """Name of a set → its points."""
    seed: Seed = 0
    """Seed of the points."""

    def __hash__(self) -> int:
        return hash(repr(self))

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        for name in self.domain:
            others = "|".join(other for other in self.domain if other != name)
            if others and re.fullmatch(f"({others})+", name):
                raise ValueError(f"the coordinate `{name}` is made of others: `u_{name}` could be read in two ways")
        for name, (low, high) in self.domain.items():
            if name in RESERVED:
                raise ValueError(f"no coordinate can be named `{name}`: formulas have it already")
            if not low < high:
                raise ValueError(f"the coordinate `{name}` runs from {low:g} to {high:g}: write the smaller end first")
        for name, part in self.points.items():
            for coordinate, values in part.where.items():
                if coordinate not in self.domain:
                    known = ", ".join(f"`{c}`" for c in self.domain)
                    raise ValueError(f"`{name}` fixes `{coordinate}`, which is no coordinate: there are {known}")
                low, high = self.domain[coordinate]
                for value in _listed(values):
                    if not low <= value <= high:
                        raise ValueError(f"`{name}` lies at {coordinate} = {value:g}, outside of {low:g}..{high:g}")
            if part.sampler == "grid":
                self._fits_a_grid(name, part)
        return self

    def _fits_a_grid(self, name: str, part: _Points) -> None:
        free = len(self.domain) - len(part.where)
        corners = math.prod(len(_listed(values)) for values in part.where.values())
        side = _side(part.count // corners, free)
        if side**free * corners != part.count:
            near = [n**free * corners for n in ((side, side + 1) if free else (1,)) if n]
            raise ValueError(
                f"`{name}` cannot lay {part.count} points on a grid: write `count: {near[0]}`"
                + (f" or `count: {near[1]}`" if len(near) > 1 else "")
            )

    def facts(self) -> Facts:
        return Facts(count=max(part.count for part in self.points.values()), shape=(len(self.domain),))

    def load(self, base: Path) -> Examples:
        fields = {name: self._laid(part, self.seed + number) for number, (name, part) in enumerate(self.points.items())}
        return Examples(fields, self.facts(), features=tuple(self.domain))

    def _laid(self, part: _Points, seed: int) -> Tensor:
        free = [name for name in self.domain if name not in part.where]
        corners = list(product(*(_listed(values) for values in part.where.values())))
        unit = _unit(part, len(free), len(corners), seed)
        turn = torch.arange(part.count) * len(corners) // part.count
        fixed = torch.tensor(corners, dtype=torch.float64).reshape(len(corners), -1)[turn]
        columns = {name: fixed[:, i] for i, name in enumerate(part.where)}
        for i, name in enumerate(free):
            low, high = self.domain[name]
            columns[name] = low + (high - low) * unit[:, i]
        return torch.stack([columns[name] for name in self.domain], dim=1)


def _unit(part: _Points, free: int, corners: int, seed: int) -> Tensor:
    """Points of the unit cube of the free coordinates [count, free]; the grid is laid once for every corner."""
    if not free:
        return torch.empty(part.count, 0, dtype=torch.float64)
    if part.sampler == "uniform":
        return torch.rand(part.count, free, generator=drawn(seed), dtype=torch.float64)
    if part.sampler == "sobol":
        engine = torch.quasirandom.SobolEngine(free, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        return engine.draw(part.count, dtype=torch.float64)
    side = _side(part.count // corners, free)
    steps = torch.linspace(0, 1, side, dtype=torch.float64) if side > 1 else torch.full((1,), 0.5, dtype=torch.float64)
    return torch.cartesian_prod(*[steps] * free).reshape(-1, free).repeat(corners, 1)


def _side(count: int, free: int) -> int:
    """The largest whole number whose power `free` is no more than `count`."""
    side = round(count ** (1 / free)) if free else 1
    return side - 1 if side**free > count else side


def _listed(values: float | _Either) -> tuple[float, ...]:
    return values.any if isinstance(values, _Either) else (values,)
