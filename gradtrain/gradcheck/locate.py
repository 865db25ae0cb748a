"""Where a gradient is wrong, by bisection with masked directions, and what the error looks like."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradtrain.gradcheck.probe import Probe
from gradtrain.gradcheck.reverse import Pull, compare
from gradtrain.gradcheck.singular import unit_direction

ALL = 64
"""Up to so many elements each one is measured; larger tensors are bisected."""

CHANCE = 1000
"""Ways to choose the wrong elements among the measured ones, from which a border between them is no accident."""

SECONDS = 8.0
"""Time for the elements around the one that was found: they only say what the error looks like."""


@dataclass(frozen=True)
class Entry:
    """One element, by autograd and by differences."""

    index: tuple[int, ...]
    got: float
    expected: float
    wrong: bool


@dataclass(frozen=True)
class Located:
    """The worst element of a wrong gradient, and what is known of the others."""

    element: tuple[int, ...]
    got: float
    expected: float
    wrong: int
    measured: int
    looks: str


def locate(probe: Probe, name: str, pull: Pull, direction: Tensor, generator: torch.Generator) -> Located | None:
    """Narrow a failing tensor to an element; None where no single element can be told from its bound."""
    leaf = probe.leaves[name]
    size = float(direction.abs().max())
    if leaf.numel() <= ALL:
        entries = [_entry(probe, name, pull, index, size) for index in range(leaf.numel())]
    else:
        index, alone = _bisected(probe, name, pull, direction)
        first = _entry(probe, name, pull, index, size)
        others = _neighbours(leaf.shape, first.index, generator, alone)
        entries = [first]
        until = time.perf_counter() + SECONDS
        for other in others:
            if time.perf_counter() > until:
                break
            if other != index:
                entries.append(_entry(probe, name, pull, other, size))
    wrong = [entry for entry in entries if entry.wrong]
    if not wrong:
        return None
    worst = max(wrong, key=lambda entry: abs(entry.got - entry.expected))
    return Located(
        worst.index, worst.got, worst.expected, len(wrong), len(entries), looks(entries, leaf.detach(), pull)
    )


def _entry(probe: Probe, name: str, pull: Pull, index: int, size: float) -> Entry:
    leaf = probe.leaves[name]
    (found,) = compare(probe, {name: unit_direction(leaf, index, size)}, [pull])
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(index), leaf.shape))
    return Entry(place, found.automatic / size, found.numeric / size, found.verdict == "fail")


def _bisected(probe: Probe, name: str, pull: Pull, direction: Tensor) -> tuple[int, bool]:
    """(an element that is wrong, whether everything outside its half of the tensor is right)."""
    flat = direction.flatten()
    low, high = 0, flat.numel()
    alone = True
    while high - low > 1:
        middle = (low + high) // 2
        if _wrong(probe, name, pull, direction, flat, low, middle):
            if high - low == flat.numel():
                alone = not _wrong(probe, name, pull, direction, flat, middle, high)
            high = middle
        else:
            low = middle
    return low, alone


def _wrong(probe: Probe, name: str, pull: Pull, direction: Tensor, flat: Tensor, low: int, high: int) -> bool:
    masked = torch.zeros_like(flat)
    masked[low:high] = flat[low:high]
    (found,) = compare(probe, {name: masked.view(direction.shape)}, [pull])
    return found.verdict == "fail"


def _neighbours(shape: torch.Size, found: tuple[int, ...], generator: torch.Generator, alone: bool) -> list[int]:
    """Elements around the one found: along each of its axes, its transposed place, some anywhere."""
    total = math.prod(shape)
    several: list[int] = []
    for axis, length in enumerate(shape):
        for other in torch.randperm(length, generator=generator)[:4].tolist():
            several.append(_flat([*found[:axis], other, *found[axis + 1 :]], shape))
    if len(shape) == 2 and shape[0] == shape[1]:
        several.append(_flat([found[1], found[0]], shape))
    several += torch.randint(0, total, (4 if alone else 16,), generator=generator).tolist()
    return list(dict.fromkeys(several))


def _flat(index: Sequence[int], shape: torch.Size) -> int:
    place = 0
    for i, length in zip(index, shape, strict=True):
        place = place * length + i
    return place


def looks(entries: Sequence[Entry], values: Tensor, pull: Pull) -> str:
    """What the error looks like, in words; empty where it has no simple form."""
    wrong = [entry for entry in entries if entry.wrong]
    where = _where(entries, wrong, values)
    factor = _factor(wrong)
    if _transposed(entries):
        return "the gradient is transposed: element [i, j] holds the derivative by [j, i]"
    if factor is not None:
        return (_named(factor, values, pull) + where).strip()
    if all(entry.got == 0 for entry in wrong):
        return "backward gives zero where the result does depend on it: a term or row is dropped" + where
    apart = [entry.got - entry.expected for entry in wrong]
    if len(wrong) >= 3 and max(apart) - min(apart) <= 1e-6 * max(abs(a) for a in apart):
        return f"every wrong element is off by the same {apart[0]:.4g}: a term is missing or added" + where
    return where.removeprefix(", ")


def _factor(wrong: Sequence[Entry]) -> float | None:
    """The one factor between autograd and the truth, where there is one."""
    big = [entry for entry in wrong if abs(entry.expected) > 1e-9 * max(abs(e.expected) for e in wrong)]
    ratios = [entry.got / entry.expected for entry in big if entry.expected]
    if len(ratios) < len(wrong) or not ratios or not math.isfinite(ratios[0]) or ratios[0] == 0:
        return None
    return ratios[0] if max(ratios) - min(ratios) <= 1e-5 * abs(ratios[0]) else None


def _named(factor: float, values: Tensor, pull: Pull) -> str:
    def close(other: float) -> bool:
        return abs(factor - other) <= 1e-5 * abs(other)

    rows = {x.shape[0] for x in pull.weights.values() if x.ndim} | ({values.shape[0]} if values.ndim else set())
    if close(2.0):
        return "twice the derivative: a factor 2 too many"
    if close(0.5):
        return "half the derivative: a factor 2 is missing"
    if close(-1.0):
        return "the sign is wrong"
    for count in sorted(rows | {values.numel()}):
        if count > 2 and close(count):
            return f"{count} times the derivative: as many as there are samples or elements; a division is missing"
        if count > 2 and close(1 / count):
            return f"1/{count} of the derivative: divided by the number of samples or elements once too often"
    return f"{factor:.6g} times the derivative"


def _transposed(entries: Sequence[Entry]) -> bool:
    known = {entry.index: entry for entry in entries}
    pairs = [
        (entry, known[entry.index[::-1]])
        for entry in entries
        if len(entry.index) == 2 and entry.index[0] != entry.index[1] and entry.index[::-1] in known and entry.wrong
    ]
    alike = all(abs(a.got - b.expected) <= 1e-5 * (abs(b.expected) + 1e-12) for a, b in pairs)
    return alike and any(entry.got != 0 for entry, _ in pairs)


def _where(entries: Sequence[Entry], wrong: Sequence[Entry], values: Tensor) -> str:
    """The region that the wrong elements share and the right ones do not."""
    right = [entry for entry in entries if not entry.wrong]
    if not right:
        return ", in every element measured"
    if len(wrong) == 1:
        return ", in a single element as far as measured"
    names = {1: ["element"], 2: ["row", "column"]}.get(values.ndim, [])
    for axis in range(values.ndim):
        indices = {entry.index[axis] for entry in wrong}
        if len(indices) == 1 and not any(entry.index[axis] in indices for entry in right):
            index = indices.pop()
            return f", only in {names[axis]} {index}" if names else f", only at index {index} of dimension {axis}"
    told = f", in {len(wrong)} of {len(entries)} elements measured"
    if math.comb(len(entries), len(wrong)) < CHANCE:
        return told
    bad = [float(values[entry.index]) for entry in wrong]
    good = [float(values[entry.index]) for entry in right]
    if max(bad) < min(good):
        return f", only where it is below {min(good):.3g}"
    if min(bad) > max(good):
        return f", only where it is above {max(good):.3g}"
    if min(map(abs, bad)) > max(map(abs, good)):
        return f", only where its magnitude is above {max(map(abs, good)):.3g}"
    if max(map(abs, bad)) < min(map(abs, good)):
        return f", only where its magnitude is below {min(map(abs, good)):.3g}"
    return told
