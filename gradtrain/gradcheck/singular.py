"""What a disagreement with the differences is worth: a kink between the steps, a corner at the point, or a defect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from gradtrain.gradcheck.finding import Verdict
from gradtrain.gradcheck.modes import exactly
from gradtrain.gradcheck.probe import Probe, Values, magnitude
from gradtrain.gradcheck.reverse import (
    WINDOWS,
    Measured,
    Pull,
    compare,
    drowned,
    line,
    pulls,
    rounding_within,
    sees,
    sided,
)

FLOOR = 1e-9
"""No step below this part of the natural one: rounding would be all there is to see."""

ELEMENTS = 24
"""How many single elements are looked at where a point lies on corners."""


def judged(probe: Probe, direction: Values, pull: Pull, found: Measured, generator: torch.Generator) -> Measured:
    """A measurement that did not pass, looked at again before it is said.

    First with steps so small that no unit changes its side (pattern freeze); then, where the point itself lies on a
    corner, against the interval between the derivatives to the left and to the right, along the direction and
    along single elements. A value inside is a subgradient: the verdict is `kink`.
    """
    if found.verdict == "nonfinite":
        return found
    frozen, flipping = _frozen(probe, direction, pull)
    if frozen is not None and frozen.verdict == "pass":
        return frozen
    if frozen is not None:
        found = frozen
    if flipping is None and found.verdict == "fail" and _rough(probe, direction, pull, found):
        same = exactly(probe, direction)(pull)
        note = "the function is rounded more coarsely than it changes here"
        note += "; forward mode and reverse mode agree exactly" if same else ""
        verdict: Verdict = "pass" if same else "unresolved"
        return Measured(verdict, found.automatic, found.numeric, found.error, found.scale, note)
    if flipping is None and not _cornered(probe, direction, pull):
        return found
    flipping = flipping or {"no operator that is known to turn": 0}
    agree = exactly(probe, direction)
    corner = _corner(probe, direction, pull, found)
    if corner is False:
        corner = _elements(probe, direction, pull, generator)
        if corner is False and agree(pull):
            corner = True
        if corner is None and _beside(probe, direction, pull, generator):
            note = f"several corners meet at the point ({_said(flipping)}); beside it autograd's slope is right"
            return Measured("kink", found.automatic, found.numeric, found.error, found.scale, note)
    if corner is True:
        return Measured(
            "kink", found.automatic, found.numeric, found.error, found.scale,
            f"the point lies on a corner ({_said(flipping)}); autograd gives a slope between the one-sided ones",
        )  # fmt: skip
    if corner is False:
        note = f"the point lies on a corner ({_said(flipping)}); autograd's slope is outside the one-sided ones"
        return Measured("fail", found.automatic, found.numeric, found.error, found.scale, note)
    if agree(pull):
        note = f"{_said(flipping)} turn within every usable step; forward mode and reverse mode agree exactly"
        return Measured("pass", found.automatic, found.numeric, found.error, found.scale, note)
    note = f"{_said(flipping)} turn within every usable step"
    return Measured("unresolved", found.automatic, found.numeric, found.error, found.scale, note)


def _frozen(probe: Probe, direction: Values, pull: Pull) -> tuple[Measured | None, dict[str, int] | None]:
    """Differences at steps where nothing turns; and what still turns at the smallest step, None for nothing."""
    from gradtrain.gradcheck.kinks import Trace, flips, traced

    def sides(t: float) -> Trace:
        return traced(lambda: probe.at(probe.moved(direction, t)))

    try:
        here = sides(0.0)
        step, turning = 0.25, None
        turned: dict[str, int] | None = None
        while step > FLOOR:
            both = [flips(here, sides(t)) for t in (step, -step)]
            turning = _joined(both)
            if not turning:
                break
            turned = turning
            step /= 8
        if turning:
            return None, turning
        scale = probe.epsilon * pull.size + 1e-300
        at = line(probe, direction, [pull])
        automatic, size, mass = _known(pull, direction)
        from gradtrain.gradcheck.slopes import central

        (slope,) = central(at, [scale], step)
    except (RuntimeError, ValueError, ArithmeticError, IndexError):  # outside the function's domain
        return None, None
    if not math.isfinite(slope.value):
        return None, None
    wide = max(size, abs(slope.value))
    rounding = 64 * probe.epsilon * mass + (100 * probe.epsilon * wide if probe.epsilon > 1e-10 else 0.0)
    agrees = abs(slope.value - automatic) <= 8 * slope.error + rounding
    if slope.error > 1e-5 * wide and slope.error > 1e-9 * pull.size:
        return None, turned  # the steps that told anything were across a kink
    if not agrees and not sees(slope, automatic, pull.size):
        return None, turned
    return Measured("pass" if agrees else "fail", automatic, slope.value, slope.error, wide), None


def _rough(probe: Probe, direction: Values, pull: Pull, found: Measured) -> bool:
    """Whether rounding inside the function explains what its differences say, nothing turning near the point."""
    from gradtrain.gradcheck.kinks import flips, traced

    here, *around = (
        traced(lambda t=t: probe.at(probe.moved(direction, t)))  # type: ignore[misc]
        for t in (0.0, 4 * WINDOWS[0], -4 * WINDOWS[0])
    )
    if any(flips(here, there) != {} for there in around):
        return False
    level = rounding_within(probe, direction, pull.weights)
    return drowned(line(probe, direction, [pull]), abs(found.automatic - found.numeric), level)


def _known(pull: Pull, direction: Values) -> tuple[float, float, float]:
    terms = [(pull.gradient[name] * u).double().flatten() for name, u in direction.items()]
    together = torch.cat(terms)
    return float(together.sum()), magnitude(terms), float(together.abs().sum())


def _joined(both: list[dict[str, int] | None]) -> dict[str, int]:
    joined: dict[str, int] = {}
    for one in both:
        for name, count in ({"another path": 1} if one is None else one).items():
            joined[name] = max(joined.get(name, 0), count)
    return joined


def _cornered(probe: Probe, direction: Values, pull: Pull) -> bool:
    """Whether the derivatives to the left and to the right differ, whatever operator makes them."""
    both = sided(probe, direction, pull)
    if both is None:
        return False
    left, right = both
    return abs(left.value - right.value) > 64 * (left.error + right.error) + 1e-5 * max(
        abs(left.value), abs(right.value)
    )


def _said(turning: Mapping[str, int]) -> str:
    if not any(turning.values()):
        return "its slopes to the left and to the right differ"
    return ", ".join(f"{count:,} of {name}" for name, count in turning.items())


def _corner(probe: Probe, direction: Values, pull: Pull, found: Measured) -> bool | None:
    """Whether autograd's slope lies between the one-sided ones; None where these cannot be had."""
    both = sided(probe, direction, pull)
    if both is None:
        return None
    low, high = sorted(slope.value for slope in both)
    slack = 8 * sum(slope.error for slope in both) + 1e-7 * max(abs(low), abs(high), found.scale)
    return low - slack <= found.automatic <= high + slack


def _elements(probe: Probe, direction: Values, pull: Pull, generator: torch.Generator) -> bool | None:
    """The same for single elements: where several corners meet, only these keep them apart."""
    answers = []
    for name, index in _chosen(probe, direction, generator):
        single = {name: unit_direction(direction[name], index, float(direction[name].abs().max()))}
        (measured,) = compare(probe, single, [pull])
        if measured.verdict == "pass":
            answers.append(True)
            continue
        answer = _corner(probe, single, pull, measured)
        if answer or (answer is False and _alone(probe, single)):
            answers.append(answer)
    return all(answers) if answers else None


def _alone(probe: Probe, single: Values) -> bool:
    """Whether one unit turns along a direction: of several that turn opposite ways autograd gives no slope between."""
    from gradtrain.gradcheck.kinks import flips, traced

    here, *there = (traced(lambda t=t: probe.at(probe.moved(single, t))) for t in (0.0, 8 * FLOOR, -8 * FLOOR))  # type: ignore[misc]
    return sum(_joined([flips(here, other) for other in there]).values()) <= 1


def _beside(probe: Probe, direction: Values, pull: Pull, generator: torch.Generator) -> bool:
    """Whether autograd is right at a point close by, where nothing turns."""
    with torch.no_grad():
        moved = {
            name: leaf + 1e-3 * direction[name].abs().max() * torch.randn(leaf.shape, generator=generator).to(leaf)
            if name in direction
            else leaf
            for name, leaf in probe.leaves.items()
        }
    other = replace(probe, leaves={name: leaf.detach().requires_grad_() for name, leaf in moved.items()})
    try:
        (near,) = pulls(other, [(pull.of, pull.weights)])
        (found,) = compare(other, direction, [near])
    except (RuntimeError, ValueError, ArithmeticError, IndexError):  # outside the function's domain
        return False
    return found.verdict == "pass"


def _chosen(probe: Probe, direction: Values, generator: torch.Generator) -> list[tuple[str, int]]:
    """Elements that are zero or equal to another one first, then any."""
    found: list[tuple[str, int]] = []
    for name, u in direction.items():
        flat = probe.leaves[name].detach().flatten()
        if not flat.numel():
            continue
        _, inverse, counts = torch.unique(flat, return_inverse=True, return_counts=True)
        special = ((flat == 0) | (counts[inverse] > 1)) & (u.flatten() != 0)
        order = torch.randperm(flat.numel(), generator=generator)
        first = [int(i) for i in order if special[i]]
        rest = [int(i) for i in order[:ELEMENTS] if not special[i] and u.flatten()[i] != 0]
        found += [(name, i) for i in (first + rest)[: max(4, ELEMENTS // len(direction))]]
    return found[:ELEMENTS]


def unit_direction(leaf: Tensor, index: int, size: float) -> Tensor:
    unit = torch.zeros(leaf.shape, dtype=leaf.dtype)
    unit.view(-1)[index] = size
    return unit
