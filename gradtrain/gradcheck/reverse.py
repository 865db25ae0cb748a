"""Reverse mode against differences that bound their own error: one direction, one verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from gradtrain.gradcheck.finding import EXACT, Verdict
from gradtrain.gradcheck.probe import Probe, Values, magnitude
from gradtrain.gradcheck.slopes import LEVELS, STARTS, Line, Slope, central, one_sided

Weights = Mapping[str, Tensor]
"""Output → incoming gradient."""

TIGHT = 1e-6
"""A bound wider than this, relative to the derivative, decides nothing."""

ROUNDING = 3e-7
"""Relative disagreement that rounding to float32 somewhere explains: a few units of its last place."""

WINDOWS = (1e-2, 3e-3, 1e-3)
"""Steps, in units of the natural one, at which a function is looked at for its own rounding."""


@dataclass(frozen=True)
class Pull:
    """What backward gives for one incoming gradient: the derivative by every leaf."""

    weights: Weights
    of: str
    """Which outputs: "" for all of them together, or one's name."""
    gradient: Mapping[str, Tensor]
    connected: frozenset[str]
    """Leaves that the graph leads back to."""
    size: float
    """Euclidean norm of weight times output: the scale of what is differenced."""
    written: bool = False
    """Whether backward changed the incoming gradient in place; it has been put back."""


@dataclass(frozen=True)
class Measured:
    """A directional derivative, by autograd and by differences."""

    verdict: Verdict
    automatic: float
    numeric: float
    error: float
    """Bound of `numeric`."""
    scale: float
    note: str = ""

    @property
    def digits(self) -> float:
        """Decimal digits on which the two agree, no more than the bound can tell."""
        apart = max(abs(self.automatic - self.numeric), self.error) / self.scale if self.scale else 0.0
        return EXACT if apart == 0 else min(EXACT, max(0.0, -math.log10(apart))) if math.isfinite(apart) else 0.0


def pulls(probe: Probe, weights: Sequence[tuple[str, Weights]]) -> list[Pull]:
    """One backward pass for each incoming gradient. Raises what backward raises."""
    outputs = probe.outputs()
    found = []
    for of, weight in weights:
        chosen = {name: w for name, w in weight.items() if outputs[name].requires_grad}
        grads: Sequence[Tensor | None] = [None] * len(probe.leaves)
        given = [w.to(outputs[name].dtype) for name, w in chosen.items()]
        before = [w.clone() for w in given]
        if chosen:
            grads = _backward([outputs[name] for name in chosen], list(probe.leaves.values()), given)
        written = not all(map(torch.equal, given, before))
        if written:
            grads = [None if g is None else g.clone() for g in grads]
            for w, value in zip(given, before, strict=True):
                w.copy_(value)
        found.append(
            Pull(
                weight, of,
                {name: torch.zeros_like(leaf) if g is None else _dense(g).detach().to(leaf.dtype)
                 for (name, leaf), g in zip(probe.leaves.items(), grads, strict=True)},
                frozenset(name for name, g in zip(probe.leaves, grads, strict=True) if g is not None),
                magnitude(w * outputs[name].detach() for name, w in weight.items()), written,
            )
        )  # fmt: skip
    return found


def _backward(outputs: Sequence[Tensor], leaves: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients by the leaves, which keep none; a reentrant checkpoint gives them to the leaves alone."""
    try:
        return list(torch.autograd.grad(outputs, leaves, weights, allow_unused=True, retain_graph=True))
    except RuntimeError as error:
        if "use_reentrant=True" not in str(error):
            raise
    before = [leaf.grad for leaf in leaves]
    try:
        for leaf in leaves:
            leaf.grad = None
        torch.autograd.backward(outputs, weights, retain_graph=True)
        return [leaf.grad for leaf in leaves]
    finally:
        for leaf, grad in zip(leaves, before, strict=True):
            leaf.grad = grad


def _dense(g: Tensor) -> Tensor:
    return g if g.layout == torch.strided else g.to_dense()


def line(probe: Probe, direction: Values, each: Sequence[Pull]) -> Line:
    """The weighted outputs along a direction, each less its value at the point, so that little cancels."""
    base = probe.at(probe.moved({}, 0.0))

    def at(t: float) -> list[float]:
        try:
            moved = probe.at(probe.moved(direction, t))
        except (RuntimeError, ValueError, ArithmeticError, IndexError):  # outside the function's domain
            return [math.nan] * len(each)
        return [_weighted(pull.weights, moved, base) for pull in each]

    return at


def _weighted(weights: Weights, moved: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> float:
    total = 0.0
    for name, w in weights.items():
        if name not in moved or moved[name].shape != base[name].shape:
            return math.nan
        total += float(torch.dot(w.flatten().double(), (moved[name] - base[name]).flatten().double()))
    return total


def compare(
    probe: Probe, direction: Values, each: Sequence[Pull], exact: Callable[[Pull], bool] | None = None
) -> list[Measured]:
    """One direction: autograd's derivative of every pull against the differences'.

    Smaller first steps are tried until the differences agree with autograd or, twice over, with one another.
    `exact` says whether forward mode agrees with reverse mode: it decides where numbers cannot.
    """
    at = line(probe, direction, each)
    known = [_automatic(pull, direction) for pull in each]
    sizes = [pull.size for pull in each]
    tried, probe.first = _differences(at, known, sizes, probe.epsilon, probe.first)
    return [
        _decided(tried[k], pull.size, known[k], probe.epsilon, None if exact is None else partial(exact, pull))
        for k, pull in enumerate(each)
    ]


def decide(at: Line, automatic: float, size: float, epsilon: float) -> Measured:
    """One number of a line, of this size at the point, against its derivative by autograd."""
    known = Known(automatic, abs(automatic), abs(automatic))
    (tried,), _ = _differences(at, [known], [size], epsilon, 0)
    return _decided(tried, size, known, epsilon, None)


def _differences(
    at: Line, known: Sequence[Known], sizes: Sequence[float], epsilon: float, first: int
) -> tuple[list[list[Slope]], int]:
    """Ridders' differences of every number from ever smaller steps, until they decide; which of `STARTS` did.

    The steps begin where they sufficed the last time: how close the units of a network are to turning is known then.
    """
    tried: list[list[Slope]] = [[] for _ in known]
    reach = [0.0] * len(known)
    noise = [epsilon * size + 1e-300 for size in sizes]
    for number in (*range(first, len(STARTS)), *reversed(range(first))):
        for k, slope in enumerate(central(at, noise, 0.25 * STARTS[number], LEVELS)):
            if math.isfinite(slope.value):
                reach[k] = max(reach[k], slope.reach)
                tried[k].append(replace(slope, reach=reach[k]))
        if all(_enough(tried[k], sizes[k], known[k], epsilon) for k in range(len(known))):
            return tried, number
    return tried, first


class Known(NamedTuple):
    """Autograd's derivative along a direction."""

    value: float
    size: float
    """Its natural size: the root of the sum of its squared terms."""
    mass: float
    """The sum of its terms' magnitudes: what rounding is relative to."""


def _automatic(pull: Pull, direction: Values) -> Known:
    value, size, mass = 0.0, 0.0, 0.0
    for name, u in direction.items():
        terms = (pull.gradient[name] * u).double()
        value += float(terms.sum())
        size = math.hypot(size, magnitude([terms]))
        mass += float(terms.abs().sum())
    return Known(value, size, mass)


def _tight(slope: Slope, scale: float, size: float, epsilon: float) -> bool:
    loose = math.sqrt(epsilon / 2.2e-16)  # 1 in float64, 23,000 in float32
    least = max(1e-10 * loose, 300 * epsilon) * size
    return slope.error <= max(min(TIGHT * loose, 0.05) * scale, least, 1e-7 * slope.reach, 1e-250)


def _agrees(slope: Slope, known: Known, size: float, epsilon: float) -> bool:
    wide = max(known.size, abs(slope.value))
    loose = math.sqrt(epsilon / 2.2e-16)
    rounding = epsilon * (64 * known.mass + 4 * size) + loose * (3.1e-10 * wide + 8.9e-11 * slope.reach)
    return abs(slope.value - known.value) <= 8 * slope.error + rounding


def sees(slope: Slope, automatic: float, size: float) -> bool:
    """Whether the steps were small enough for what autograd claims: within them the function changes by its size."""
    return abs(automatic) * slope.step <= (1 << LEVELS) * max(size, slope.reach)


def _against(trusted: Sequence[Slope], size: float, known: Known) -> bool:
    """Whether two bounds agree with each other, and could see what autograd claims."""
    two = trusted[:2]
    return len(two) == 2 and _alike(*two) and any(sees(slope, known.value, size) for slope in two)


def _alike(a: Slope, b: Slope) -> bool:
    return abs(a.value - b.value) <= 8 * (a.error + b.error) + 1e-9 * max(abs(a.value), abs(b.value))


def _trusted(tried: Sequence[Slope], size: float, known: Known, epsilon: float) -> list[Slope]:
    """Differences whose bound is tight, the tightest first."""
    tight = [slope for slope in tried if _tight(slope, max(known.size, abs(slope.value)), size, epsilon)]
    return sorted(tight, key=lambda slope: slope.error)


def _enough(tried: Sequence[Slope], size: float, known: Known, epsilon: float) -> bool:
    """Whether one very tight bound agrees with autograd, or two steps agree with each other against it."""
    if not math.isfinite(known.value):
        return bool(tried)
    trusted = _trusted(tried, size, known, epsilon)
    agreeing = [slope for slope in trusted if _agrees(slope, known, size, epsilon)]
    if agreeing:
        best = agreeing[0]
        sharp = 4e-9 * math.sqrt(epsilon / 2.2e-16) * max(known.size, abs(best.value))
        return best.error <= sharp or best.error <= max(4e-13 * size, 1e-10 * best.reach) or len(tried) >= 3
    return _against(trusted, size, known)


def _decided(
    tried: Sequence[Slope], size: float, known: Known, epsilon: float, exact: Callable[[], bool] | None
) -> Measured:
    best = min(tried, key=lambda slope: slope.error, default=Slope(math.nan, math.inf, 0.0))
    if not math.isfinite(known.value):
        return Measured("nonfinite", known.value, best.value, best.error, known.size)
    trusted = _trusted(tried, size, known, epsilon)
    for slope in trusted:
        if _agrees(slope, known, size, epsilon):
            return Measured(
                "pass", known.value, slope.value, slope.error, max(known.size, abs(slope.value), slope.reach)
            )
    if _against(trusted, size, known):
        slope = trusted[0]
        return Measured("fail", known.value, slope.value, slope.error, max(known.size, abs(slope.value)))
    scale = max(known.size, abs(best.value)) if math.isfinite(best.value) else known.size
    if exact is not None and exact():
        note = "the differences decide nothing here; forward mode and reverse mode agree exactly"
        return Measured("pass", known.value, best.value, best.error, scale, note)
    return Measured("unresolved", known.value, best.value, best.error, scale)


def turns(at: Line, noise: float) -> bool:
    """Whether the slopes of a line to the left and to the right differ."""
    slopes = []
    for way in (-1.0, 1.0):
        (slope,) = one_sided(lambda h, way=way: at(way * h), [noise + 1e-300], 1e-3)  # type: ignore[misc]
        slopes.append(way * slope.value)
    left, right = slopes
    return math.isfinite(left + right) and abs(left - right) > 1e-4 * max(abs(left), abs(right))


def drowned(at: Line, gap: float, level: float) -> bool:
    """Whether the rounding inside a function explains a gap between its slope and autograd's.

    In the tail of x (1 + erf x), a sum of numbers near 1, the differences see the steps of the rounding. The sixth
    differences of a smooth function are far smaller than its fourth, those of rounding are not. `level` is the most
    that rounding can be: larger is a fine structure of the function itself.

    Source: Moré & Wild (2011), SIAM J. Sci. Comput. 33(3):1292-1314, doi:10.1137/100786125
    """
    for h in WINDOWS:
        values = [at(k * h)[0] for k in range(-4, 5)]
        if not all(map(math.isfinite, values)):
            continue
        fourth, sixth = (_roughness(values, order) for order in (4, 6))
        if gap * h <= 8 * sixth and fourth <= 2 * sixth <= 2 * level:
            return True
    return False


def _roughness(values: Sequence[float], order: int) -> float:
    """The standard deviation of independent errors that would make differences of this order."""
    for _ in range(order):
        values = [b - a for a, b in pairwise(values)]
    return math.sqrt(sum(d * d for d in values) / len(values) / math.comb(2 * order, order))


def rounding_within(probe: Probe, direction: Values, weights: Weights) -> float:
    """What rounding inside a function can be, at most: its terms are taken to be as large as 1 or its arguments."""
    largest = [max(1.0, *(float(x.abs().max()) for x in (probe.leaves[n].detach(), u) if x.numel()))
               for n, u in direction.items()]  # fmt: skip
    return 1000 * probe.epsilon * max(largest, default=1.0) * sum(float(w.abs().sum()) for w in weights.values())


def sided(probe: Probe, direction: Values, pull: Pull) -> tuple[Slope, Slope] | None:
    """The derivatives to the left and to the right, where both can be had to a few digits."""
    at = line(probe, direction, [pull])
    noise = [probe.epsilon * pull.size + 1e-300]
    found = []
    for way in (-1.0, 1.0):
        for start in STARTS[1:4]:
            (slope,) = one_sided(lambda h, way=way: at(way * h), noise, 0.25 * start)  # type: ignore[misc]
            if math.isfinite(slope.value) and slope.error <= 1e-4 * max(abs(slope.value), pull.size) + 1e-200:
                found.append(replace(slope, value=way * slope.value))
                break
    return (found[0], found[1]) if len(found) == 2 else None
