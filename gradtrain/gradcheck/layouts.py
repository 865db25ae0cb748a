"""Where numbers lie in memory changes nothing: neither for the inputs nor for the gradient that comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gradtrain.gradcheck.kinks import Trace
from gradtrain.gradcheck.modes import apart
from gradtrain.gradcheck.probe import Values
from gradtrain.gradcheck.reverse import pulls
from gradtrain.gradcheck.trial import Trial, first_line, scale_of

SAME = 1e-9
"""Sums in another order differ by rounding only."""

MEMORY = frozenset(("as_strided", "as_strided_", "as_strided_scatter", "as_strided_copy", "set_"))
"""Operators that are defined by places in memory."""


def prove_layouts(trial: Trial, forward: Trace) -> None:
    """The incoming gradient in other places, then the inputs. Silent where a corner or a draw may go another way."""
    if trial.probe.kept.random or forward.seeded or any(found.verdict == "kink" for found in trial.ledger.findings):
        return
    _incoming(trial)
    if not forward.called & MEMORY:
        _inputs(trial)


def _incoming(trial: Trial) -> None:
    """An incoming gradient of the same numbers gives the same result, whatever its strides."""
    weights = {name: w for name, w in trial.together.weights.items() if w.numel() > 1}
    alone = {name: w for name, w in trial.together.weights.items() if name not in weights}
    one = {name: torch.ones_like(w) for name, w in weights.items()}
    kinds: list[tuple[str, Values, Callable[[Tensor], Tensor]]] = [
        ("with gaps between its numbers", weights, _gapped),
        ("transposed in memory", weights, _transposed),
        ("expanded from one number, as `.sum()` gives it", one, lambda w: w.new_ones(()).expand(w.shape)),
    ]
    for how, plain, lay in kinds if weights else ():
        laid = {name: lay(w) for name, w in plain.items()}
        try:
            known, other = pulls(trial.probe, [("", {**alone, **plain}), ("", {**alone, **laid})])
        except Exception as error:
            note = f"backward raises {type(error).__name__} for an incoming gradient that is {how}: {first_line(error)}"
            trial.ledger.write("incoming gradient", "fail", note=note, **trial.where)
            return
        worst = apart(known.gradient, other.gradient, _natural(trial, known.size))
        if worst > trial.probe.slack(SAME):
            note = f"the same incoming gradient, {how}, gives another result: {worst:.1e} apart relatively"
            trial.ledger.write("incoming gradient", "fail", note=note, **trial.where)
            return
    trial.ledger.write("incoming gradient", "pass", **trial.where)


def _inputs(trial: Trial) -> None:
    """Inputs of the same numbers give the same result and gradient, whatever their strides; they may be refused."""
    callee, probe, pull = trial.callee, trial.probe, trial.together
    values = {name: callee.tensors[name] for name in callee.moved if callee.tensors[name].numel() > 1}
    known = probe.at(probe.moved({}, 0.0))
    for how, lay in (("with gaps between their numbers", _gapped), ("transposed in memory", _transposed)):
        probe.kept.restore()  # the other probe begins where this one began
        try:
            other = callee.at({name: lay(x) for name, x in values.items()}, {}).probe()
            other.grad_mode = probe.grad_mode
            outputs = other.at(other.moved({}, 0.0))
            (again,) = pulls(other, [("", pull.weights)])
        except Exception:  # a layout that a function need not take
            continue
        for what, a, b, natural in (
            ("result", known, outputs, None),
            ("gradient", pull.gradient, again.gradient, _natural(trial, pull.size)),
        ):
            worst = apart(a, b, natural)
            if worst > probe.slack(SAME):
                note = f"the same inputs, {how}, give another {what}: {worst:.1e} apart relatively"
                trial.ledger.write("layout of inputs", "fail", note=note, **trial.where)
                return
    if values:
        trial.ledger.write("layout of inputs", "pass", **trial.where)


def _natural(trial: Trial, size: float) -> Mapping[str, float]:
    """Below this a difference of two gradients is rounding."""
    slack = trial.probe.slack(1e-12)
    return {name: slack * size / scale_of(leaf) for name, leaf in trial.probe.leaves.items()}


def _gapped(x: Tensor) -> Tensor:
    """The same numbers, every other place in memory."""
    wide = torch.full((*x.shape, 2), 7.0, dtype=x.dtype)
    wide[..., 0] = x.detach()
    return wide[..., 0]


def _transposed(x: Tensor) -> Tensor:
    return x.detach().transpose(0, -1).contiguous().transpose(0, -1) if x.ndim > 1 else _gapped(x)
