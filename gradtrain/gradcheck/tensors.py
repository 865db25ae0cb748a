"""Every tensor against differences: its verdict, and where it is wrong, which element and how."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import nn

from gradtrain.gradcheck.finding import EXACT, Verdict
from gradtrain.gradcheck.kinks import traced
from gradtrain.gradcheck.locate import locate
from gradtrain.gradcheck.modes import exactly
from gradtrain.gradcheck.probe import magnitude
from gradtrain.gradcheck.reverse import ROUNDING, Measured, Pull, compare, line
from gradtrain.gradcheck.singular import judged
from gradtrain.gradcheck.slopes import central
from gradtrain.gradcheck.trial import Trial, scale_of

SOME = 5.0
"""Digits along common directions that say anything about single tensors."""

FEW = 9.0
"""Digits that a function without casts gives more of, unless its numbers cancel."""

ORDER: tuple[Verdict, ...] = ("fail", "nonfinite", "precision", "unresolved", "kink", "pass")


def prove_tensors(trial: Trial) -> bool:
    """All tensors along common directions first, then each one that these leave open. True where all are right."""
    names = list(trial.probe.leaves)
    known = [name for name in names if name in trial.together.connected]
    joint = measured(trial, known) if len(known) > 1 else []
    shared = bool(joint) and all(found.verdict == "pass" and found.digits >= SOME for found in joint)
    rough = shared and any(found.digits < FEW for found in joint)
    if rough:  # a function with many corners: forward mode must bear out what the differences leave open
        shared = not traced(lambda: trial.probe.at(trial.probe.moved({}, 0.0))).casts and _exact(trial, known)
    right = True
    for number, name in enumerate(names):
        if shared and _settled(trial, name, joint, 1e-4 if rough else 1e-7):
            continue
        if number and time.perf_counter() > trial.effort.until:
            note = "not looked at: the time is spent"
            trial.ledger.write(f"gradient of {name}", "unresolved", note=note, **trial.where)
            right = False
            continue
        for k, (pull, found) in enumerate(zip(trial.pulls, measured(trial, [name]), strict=True)):
            right &= write_tensor(trial, name, pull, found, alone=k > 0)
    if right:
        for pull, found in zip(trial.pulls, joint, strict=False):
            trial.note("gradient of all together" + (f" through {pull.of}" if pull.of else ""), found)
            right &= found.verdict in ("pass", "kink")
    right &= _without_graph(trial, names)
    return right


def _exact(trial: Trial, names: Sequence[str]) -> bool:
    if not set(names) <= set(trial.callee.free):
        return False
    agree = exactly(trial.probe, trial.direction(names))
    return all(agree(pull) for pull in trial.pulls)


def _settled(trial: Trial, name: str, joint: Sequence[Measured], limit: float) -> bool:
    """Write the findings about a tensor that the common directions have proven; False where its share is too small.

    What they leave open, they leave open for all tensors together: an error of one tensor no smaller than that would
    have shown. A tensor without a path from the result was no part of them.
    """
    if name not in trial.together.connected:
        return False
    scale = scale_of(trial.probe.leaves[name])
    rows = []
    for pull, found in zip(trial.pulls, joint, strict=True):
        size = scale * magnitude([pull.gradient[name]])
        open_ = max(abs(found.automatic - found.numeric), found.error)
        if size == 0 or open_ > limit * size:
            return False
        rows.append((pull, min(EXACT, -math.log10(open_ / size)) if open_ else EXACT, open_))
    for pull, digits, open_ in rows:
        check = f"gradient of {name}" + (f" through {pull.of}" if pull.of else "")
        trial.ledger.write(check, "pass", digits=digits, bound=open_, **trial.where)
    return True


def measured(trial: Trial, names: Sequence[str]) -> list[Measured]:
    """The worst of several directions, for every pull."""
    worst: list[Measured] = []
    for number in range(trial.effort.directions):
        direction = trial.direction(names)
        agree = exactly(trial.probe, direction) if set(names) <= set(trial.callee.free) else None
        found = compare(trial.probe, direction, trial.pulls, agree)
        found = [
            judged(trial.probe, direction, pull, one, trial.generator) if one.verdict in ("fail", "unresolved") else one
            for pull, one in zip(trial.pulls, found, strict=True)
        ]
        worst = found if not worst else [_worse(a, b) for a, b in zip(worst, found, strict=True)]
        if number == 0 and all(one.verdict == "fail" for one in worst):
            break
    return worst


def _worse(a: Measured, b: Measured) -> Measured:
    if a.verdict != b.verdict:
        return min(a, b, key=lambda one: ORDER.index(one.verdict))
    return min(a, b, key=lambda one: one.digits)


def write_tensor(trial: Trial, name: str, pull: Pull, found: Measured, alone: bool) -> bool:
    """The finding about one tensor: its verdict, and where it is wrong, which element and how."""
    check = f"gradient of {name}" + (f" through {pull.of}" if pull.of else "")
    leaf = trial.probe.leaves[name]
    zero = leaf.numel() > 0 and not bool(pull.gradient[name].any())
    nothing = abs(found.numeric) <= 8 * found.error + 1e-12 * pull.size
    if zero and found.verdict in ("pass", "unresolved", "kink") and nothing:
        inside = name in pull.connected
        if not inside and (alone or not _used(trial, name)):
            return True
        note = (
            "the derivative is zero here"
            if inside
            else "not in the graph: no path leads from the result back to it, and the result does not depend on it"
        )
        trial.ledger.write(check, "inert", in_graph=inside or alone, note=note, **trial.where)
        return True
    if zero and found.verdict == "fail":
        if alone and trial.together.gradient[name].any():
            pass
        why = "backward gives zero" if name in pull.connected else "no path leads from the result back to it"
        note = f"{why}, but the result depends on it: it is detached or left out"
        if name in trial.callee.moved and not trial.callee.marked and trial.callee.parameters:
            note += "; if that is meant, mark nothing and close over it: gradcheck(lambda: model(x))"
        trial.note(check, found, verdict="detached", note=note)
        return False
    if found.verdict == "nonfinite":
        bad = ~pull.gradient[name].isfinite()
        index = tuple(int(i) for i in bad.nonzero()[0]) if bool(bad.any()) else ()
        trial.ledger.write(
            check, "nonfinite", element=index, got=float(pull.gradient[name][index]), disagree=int(bad.sum()),
            elements=leaf.numel(), at=float(leaf.detach()[index]),
            note=f"the gradient is {float(pull.gradient[name][index])} there, and the function is finite",
            **trial.where,
        )  # fmt: skip
        return False
    if found.verdict in ("fail", "unresolved") or (found.verdict == "pass" and found.digits < FEW):
        verdict, note = rounded(trial, name, pull, found)
        if verdict == "precision":
            trial.note(check, found, verdict=verdict, note=note)
            return False
    if found.verdict == "fail":
        _located(trial, check, name, pull, found)
        return False
    trial.note(check, found)
    return found.verdict in ("pass", "kink")


def _used(trial: Trial, name: str) -> bool:
    """Whether a tensor without a path from the result was meant to have one.

    Those of a module that is called are; one that merely hangs on an object or module that the function reads is not.
    """
    callee = trial.callee
    tensor = callee.parameters.get(name)
    if tensor is None or callee.owned is not None:
        return True

    def within(module: nn.Module) -> bool:
        return any(tensor is parameter for parameter in module.parameters())

    if not any(within(module) for module in callee.reads.modules.values()):
        return id(tensor) not in callee.reads.loose
    called: list[bool] = []
    hook = nn.modules.module.register_module_forward_pre_hook(lambda module, _: called.append(within(module)))
    try:
        trial.probe.at(trial.probe.moved({}, 0.0))
    finally:
        hook.remove()
    return any(called)


def rounded(trial: Trial, name: str, pull: Pull, found: Measured) -> tuple[Verdict, str]:
    """Whether rounding to a low precision inside explains a disagreement."""
    relative = abs(found.automatic - found.numeric) / found.scale if found.scale else math.inf
    if trial.probe.epsilon > 1e-10:
        return found.verdict, found.note
    casts = traced(lambda: trial.probe.at(trial.probe.moved({}, 0.0))).casts
    half = any(cast.endswith(("16", "complex32")) for cast in casts)
    if casts and (found.verdict == "unresolved" or half or relative < 1e-3 or _coarsely(trial, name, pull) < 1e-3):
        return "precision", f"a cast inside loses digits: {casts[0]}"
    if found.verdict == "fail" and relative < ROUNDING:
        digits = -math.log10(relative)
        what = "a constant or a cast inside is float32, or a series too short"
        return "precision", f"the algebra is right to {digits:.1f} digits: {what}"
    return found.verdict, found.note


def _coarsely(trial: Trial, name: str, pull: Pull) -> float:
    """The relative disagreement at large steps, between which a rounded function is not flat."""
    direction = trial.direction([name])
    (slope,) = central(line(trial.probe, direction, [pull]), [1e-7 * pull.size], 0.25, 4)
    automatic = float((pull.gradient[name] * direction[name]).sum())
    return abs(slope.value - automatic) / max(abs(slope.value), abs(automatic), 1e-300)


def _located(trial: Trial, check: str, name: str, pull: Pull, found: Measured) -> None:
    direction = trial.direction([name])[name]
    place = locate(trial.probe, name, pull, direction, trial.generator)
    leaf = trial.probe.leaves[name]
    if place is None:
        note = found.note or f"along a random direction autograd gives {found.automatic:.10g}"
        trial.note(check, found, note=note)
        return
    trial.ledger.write(
        check, "fail", digits=found.digits, element=place.element, got=place.got, expected=place.expected,
        disagree=place.wrong, elements=place.measured, at=float(leaf.detach()[place.element]), bound=found.error,
        note=". ".join(text for text in (found.note, place.looks) if text), **trial.where,
    )  # fmt: skip


def _without_graph(trial: Trial, names: Sequence[str]) -> bool:
    """Outputs that autograd does not know: wrong where they do depend on a leaf."""
    right = True
    if not trial.detached or not any(pull.connected for pull in trial.pulls):
        return right
    outputs = trial.probe.outputs()
    for name, weight in trial.detached.items():
        size = magnitude([outputs[name].detach() * weight[name]])
        pull = Pull(weight, name, {n: torch.zeros_like(x) for n, x in trial.probe.leaves.items()}, frozenset(), size)
        direction = trial.direction(names)
        (found,) = compare(trial.probe, direction, [pull])
        if found.verdict == "fail" and abs(found.numeric) > 1e-9 * size:
            note = f"{name} depends on {', '.join(names)}, but backward knows nothing of it"
            trial.note(name, found, verdict="detached-output", note=note)
            right = False
    return right
