"""Points that a checker draws around the caller's: other signs, zeros and ties, tiny and large, other labels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gradtrain.gradcheck.callee import Callee
from gradtrain.gradcheck.kinks import Trace
from gradtrain.gradcheck.trial import scale_of

UNIQUE = frozenset(
    ("scatter", "scatter_", "index_copy", "index_copy_", "index_put", "index_put_", "put", "put_", "_index_put_impl_",
     "max_unpool2d", "max_unpool3d")
)  # fmt: skip
"""Operators that PyTorch documents as undefined where an index occurs twice."""

MATRICES = ("linalg_", "cholesky", "geqrf", "lu_", "ormqr", "triangular_solve")
"""How the names of operators begin whose matrices must be regular, symmetric, triangular or positive definite."""

VECTORS = frozenset(("linalg_vector_norm", "linalg_cross", "linalg_vecdot"))
"""Those of them that take any numbers."""

LIMITS = 3
"""No more than so many numbers that tensors are compared with."""

TINY, LARGE, HUGE = 1e-5, 12.0, 2000.0
"""Typical magnitudes of the numbers at three of the points."""


@dataclass(frozen=True)
class Point:
    """Tensors and keywords that differ from the caller's."""

    what: str
    values: Mapping[str, Tensor]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    extreme: bool = False
    """So far out that only gross errors count."""
    scaled: bool = False
    """Where a textbook may lose digits that the function keeps, or the other way round."""
    corner: bool = False
    """Where functions may turn: differences alone refuse nothing that both modes of autograd agree on."""
    tied: bool = False
    """Many numbers are equal, and stay so: along such lines the largest of them is a smooth function."""


def drawn(callee: Callee, forward: Trace, trace: Trace, generator: torch.Generator) -> Iterator[Point]:
    """Every point for this function, in a fixed order; whether it lies in the domain is not known here.

    `forward` is one call and `trace` a call with its backward pass: the numbers that tensors are compared with on
    the way are where formulas change.
    """
    moved = {name: callee.tensors[name] for name in callee.moved if callee.tensors[name].numel()}
    matrices = any(name.lstrip("_").startswith(MATRICES) for name in forward.called - VECTORS)
    if moved:
        if any(bool((x > 0).all() or (x < 0).all()) for x in moved.values()):
            yield Point("other signs", {name: x * _signs(x, generator) for name, x in moved.items()})
        if any(_special(x) for x in moved.values()):
            yield Point("numbers beside them", {name: _beside(x, generator) for name, x in moved.items()})
        if not matrices:
            yield Point("zeros and ties", _tied(moved, generator), corner=True)
            few = {name: _few(x, generator) for name, x in moved.items()}
            yield Point("a few numbers, many times", few, corner=True, tied=True)
        if others := _coincident(callee, moved):
            yield Point("inputs that coincide", others, corner=True)
        for what, size in (("tiny numbers", TINY), ("large numbers", LARGE), ("huge numbers", HUGE)):
            values = {
                name: x * (size / scale_of(x)) if matrices else _scaled(x, size, generator) for name, x in moved.items()
            }
            yield Point(what, values, scaled=True, extreme=size == HUGE, corner=size == TINY)
        limits = dict.fromkeys(abs(limit) for limit in trace.thresholds if 1e-12 < abs(limit) < 1e6)
        for limit in list(limits)[:LIMITS]:
            near = {name: _near(x, limit, generator) for name, x in moved.items()}
            yield Point(f"numbers around {limit:g}", near, corner=True)
            if pair := _pair(callee, moved):
                changed, other = pair
                residual = {changed: callee.tensors[other].detach() + near[changed]}
                yield Point(f"differences around {limit:g}", residual, corner=True)
    whole = {
        name: tensor
        for name, tensor in callee.tensors.items()
        if tensor.dtype in (torch.int64, torch.int32) and tensor.numel() > 1
    }
    if whole:
        if not forward.called & UNIQUE:
            if fresh := {name: x for name, tensor in whole.items() if (x := _fresh(tensor, generator)) is not None}:
                yield Point("other integers", fresh)
            yield Point("repeated integers", {name: _repeated(tensor, generator) for name, tensor in whole.items()})
        for label in dict.fromkeys(trace.labels[:LIMITS]):
            yield Point(f"labels {label}", {name: _some(tensor, label) for name, tensor in whole.items()})
    for name, value in _float_defaults(callee.function).items():
        yield Point(f"{name} = {0.7 * value:g}", {}, {name: 0.7 * value})


def _signs(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, x.shape, generator=generator).to(x.dtype) * 2 - 1


def _special(x: Tensor) -> bool:
    """Whether there are whole numbers or equal ones: functions may turn there, and differences decide less."""
    return bool((x == x.round()).any()) or len(torch.unique(x)) < x.numel()


def _beside(x: Tensor, generator: torch.Generator) -> Tensor:
    u = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype)
    return x + 0.05 * scale_of(x) * u


def _tied(moved: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """A quarter of the numbers is zero (at least one), another quarter equals a neighbour."""
    found = {}
    for name, x in moved.items():
        flat = x.detach().clone().flatten()
        order = torch.randperm(flat.numel(), generator=generator)
        quarter = max(1, flat.numel() // 4)
        flat[order[:quarter]] = 0.0
        tied = order[quarter : 2 * quarter]
        flat[tied] = flat[(tied + 1) % flat.numel()]
        found[name] = flat.view(x.shape)
    return found


def _few(x: Tensor, generator: torch.Generator) -> Tensor:
    """Three of its numbers, in its places at random."""
    flat = x.detach().flatten()
    three = flat[torch.randperm(flat.numel(), generator=generator)[:3]]
    return three[torch.randint(0, len(three), x.shape, generator=generator)]


def _coincident(callee: Callee, moved: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A first part of one tensor equals the same part of another of its shape: a residual or a distance of zero."""
    pair = _pair(callee, moved)
    if pair is None:
        return {}
    changed, source = pair
    value = callee.tensors[changed].detach().clone(memory_format=torch.contiguous_format)
    rows = value.flatten() if value.ndim < 2 else value.view(value.shape[0], -1)
    other = callee.tensors[source].detach().reshape(rows.shape)
    rows[: max(1, len(rows) // 2)] = other[: max(1, len(rows) // 2)]
    return {changed: rows.view(value.shape)}


def _pair(callee: Callee, moved: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """(a tensor that is moved, another one of its shape): their difference may be what a function is about."""
    names = [n for n, t in callee.tensors.items() if t.is_floating_point() and t.numel()]
    for number, one in enumerate(names):
        for two in names[number + 1 :]:
            if callee.tensors[one].shape == callee.tensors[two].shape and (one in moved or two in moved):
                return (one, two) if one in moved else (two, one)
    return None


def _near(x: Tensor, limit: float, generator: torch.Generator) -> Tensor:
    """Numbers of either sign from half a limit to three times it."""
    factors = torch.tensor([0.2, 0.5, 0.9, 1.1, 1.7, 3.0], dtype=x.dtype)
    chosen = torch.randint(0, len(factors), x.shape, generator=generator)
    return limit * factors[chosen] * _signs(x, generator)


def _scaled(x: Tensor, size: float, generator: torch.Generator) -> Tensor:
    spread = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype)
    return size * spread


def _fresh(x: Tensor, generator: torch.Generator) -> Tensor | None:
    """Integers between the same limits, from 0 or 1 on; None where there are no others.

    Negative ones stay, for they mark something; what was in order stays in order, and begins and ends as it did.
    """
    known = x[x >= 0]
    low, high = (min(int(known.min()), 1), int(known.max())) if known.numel() else (0, 0)
    if low == high:
        return None
    drawn = torch.randint(low, high + 1, x.shape, generator=generator).to(x.dtype)
    rising, falling = (bool((steps >= 0).all()) for steps in (x.diff(), -x.diff()))
    if x.ndim == 1 and (rising or falling):
        drawn = drawn.sort(descending=falling).values
        if rising != falling:
            drawn[0], drawn[-1] = x[0], x[-1]
    return torch.where(x >= 0, drawn, x)


def _repeated(x: Tensor, generator: torch.Generator) -> Tensor:
    flat = x.detach().clone().flatten()
    flat[: flat.numel() // 2 + 1] = flat[0]
    return flat.view(x.shape)


def _some(x: Tensor, value: int) -> Tensor:
    flat = x.detach().clone().flatten()
    flat[:: max(2, flat.numel() // 3)] = value
    return flat.view(x.shape)


def _float_defaults(function: Callable[..., Any]) -> dict[str, float]:
    """Keywords of a plain function whose defaults are numbers that can be moved."""
    if isinstance(function, nn.Module):
        return {}
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        p.name: p.default
        for p in parameters
        if isinstance(p.default, float) and p.default not in (0.0, float("inf"), float("-inf"))
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }  # fmt: skip
