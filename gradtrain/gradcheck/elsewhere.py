"""The points that are drawn: a failure only where numbers prove it, nothing outside the function's domain."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gradtrain.gradcheck.callee import Callee
from gradtrain.gradcheck.faces import Faces, prove_gradient, prove_surrogate, prove_textbook, takes
from gradtrain.gradcheck.finding import Ledger
from gradtrain.gradcheck.modes import exactly
from gradtrain.gradcheck.points import Point
from gradtrain.gradcheck.probe import Values
from gradtrain.gradcheck.reverse import Pull, compare, sided
from gradtrain.gradcheck.singular import judged
from gradtrain.gradcheck.tensors import rounded, write_tensor
from gradtrain.gradcheck.trial import Effort, Trial, differentiated, plainly, scale_of

SHARES = (
    "equal numbers that move together stay equal; along such a line the shares that backward gives them do not add up "
    "to the derivative (a maximum that gives every one of them all of it?)"
)

GROSS = 1e-3
"""At a drawn point, where a function may be badly conditioned, only more than this is a failure."""


def prove_elsewhere(
    callee: Callee, point: Point, faces: Faces, effort: Effort, ledger: Ledger, where: Mapping[str, Any]
) -> None:
    """A drawn point: failures only where numbers prove them, nothing where it lies outside the domain."""
    inner = Ledger(*ledger.who)
    known = {finding.check for finding in ledger.findings if not finding.ok}
    if faces.surrogate is not None and not takes(faces.surrogate, point.keywords):
        return
    try:
        callee = callee.at(point.values, point.keywords)
        probe = callee.probe()
        outputs = plainly(probe)
        finite = all(bool(out.isfinite().all()) for out in outputs.values())
        if faces.textbook is not None and takes(faces.textbook, point.keywords):
            prove_textbook(faces.textbook, callee, probe, inner, point.extreme or point.scaled, **where)
        if not finite or point.extreme:
            ledger.findings += inner.findings
            return
        trial = Trial(callee, probe, inner, effort.generator(int(where["sample"])), where, effort)
        if not differentiated(trial):
            return
        if faces.surrogate is not None:
            prove_surrogate(faces.surrogate, callee, probe, trial.together, inner, **where)
        else:
            _around(trial, point, known)
        if faces.gradient is not None and takes(faces.gradient, point.keywords):
            prove_gradient(faces.gradient, callee, probe, trial.together, inner, **where)
    except Exception:  # the point lies outside the function's domain
        return
    finally:
        ledger.since = time.perf_counter()
    ledger.findings += inner.findings


def _around(trial: Trial, point: Point, known: Collection[str]) -> None:
    """One direction of every input at a drawn point; nothing more about those that are `known` to be wrong."""
    names = [name for name in trial.callee.moved if trial.probe.leaves[name].numel()]
    names = [name for name in names or trial.probe.leaves if f"gradient of {name}" not in known]
    pull = trial.together
    if not pull.connected:
        return
    for name in names:
        ways = partial(_together, trial, name) if point.tied else partial(trial.direction, [name])
        direction = ways()
        gradient = pull.gradient[name]
        if not bool(gradient.isfinite().all()):
            if not point.tied:
                _explodes(trial, name, pull)
            continue
        (found,) = compare(trial.probe, direction, [pull])
        if found.verdict in ("fail", "unresolved"):
            found = judged(trial.probe, direction, pull, found, trial.generator)
        if found.verdict == "fail" and point.corner and exactly(trial.probe, direction)(pull):
            continue
        if found.verdict == "fail" and rounded(trial, name, pull, found)[0] == "fail" and _grossly(trial, ways, pull):
            if point.tied:
                trial.note(f"gradient of {name}", found, note=SHARES)
            else:
                write_tensor(trial, name, pull, found, alone=False)
        elif found.verdict in ("pass", "kink"):
            trial.note(f"gradient of {name}", found)


def _together(trial: Trial, name: str) -> dict[str, Tensor]:
    """A direction along which equal numbers stay equal."""
    leaf = trial.probe.leaves[name].detach()
    values, place = torch.unique(leaf, return_inverse=True)
    u = torch.randn(values.shape, generator=trial.generator, dtype=torch.float64).to(leaf.dtype)
    return {name: u[place] * scale_of(leaf)}


def _grossly(trial: Trial, ways: Callable[[], Values], pull: Pull) -> bool:
    """Whether further directions show an error too, one of them a large one."""
    gaps = []
    for _ in range(3):
        direction = ways()
        (found,) = compare(trial.probe, direction, [pull])
        if judged(trial.probe, direction, pull, found, trial.generator).verdict != "fail":
            return False
        gaps.append(abs(found.automatic - found.numeric) / found.scale)
    return max(gaps) > GROSS


def _explodes(trial: Trial, name: str, pull: Pull) -> None:
    """A gradient that is not finite is wrong where the function has slopes on both sides of each such element."""
    bad = ~pull.gradient[name].isfinite()
    index = tuple(int(i) for i in bad.nonzero()[0])
    unit = torch.zeros_like(trial.probe.leaves[name])
    unit[index] = scale_of(trial.probe.leaves[name].detach())
    rest = Pull(
        pull.weights, pull.of, {n: torch.zeros_like(g) for n, g in pull.gradient.items()}, pull.connected, pull.size
    )
    both = sided(trial.probe, {name: unit}, rest)
    if both is None:
        return
    size = float(unit[index])
    low, high = sorted(slope.value / size for slope in both)
    trial.ledger.write(
        f"gradient of {name}", "nonfinite", element=index, got=float(pull.gradient[name][index]),
        expected=high if abs(high - low) < 1e-6 * abs(high) else (low + high) / 2, disagree=int(bad.sum()),
        elements=bad.numel(), at=float(trial.probe.leaves[name].detach()[index]),
        note=f"the function has slopes {low:.6g} and {high:.6g} here, autograd none", **trial.where,
    )  # fmt: skip
