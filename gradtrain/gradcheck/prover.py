"""The trial of a function or module: every check there is, at the caller's point and at points drawn around it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from gradtrain.gradcheck.callee import Callee, at_precision, hold_power_iterations, taken_apart
from gradtrain.gradcheck.elsewhere import prove_elsewhere
from gradtrain.gradcheck.faces import Faces, prove_gradient, prove_surrogate, prove_textbook
from gradtrain.gradcheck.finding import Ledger, Verdict, same_bits
from gradtrain.gradcheck.kinks import traced
from gradtrain.gradcheck.layouts import prove_layouts
from gradtrain.gradcheck.modes import Missing, forward_holds, prove_batched, prove_linear, prove_repeated, tangents
from gradtrain.gradcheck.orders import prove_order, prove_symmetry
from gradtrain.gradcheck.points import drawn
from gradtrain.gradcheck.probe import Probe, Values
from gradtrain.gradcheck.registered import prove_registered
from gradtrain.gradcheck.report import Report
from gradtrain.gradcheck.reverse import Pull, pulls
from gradtrain.gradcheck.running import prove_running
from gradtrain.gradcheck.tensors import measured, prove_tensors, write_tensor
from gradtrain.gradcheck.trial import Effort, Trial, called_twice, differentiated, first_line
from gradtrain.gradcheck.ulps import prove_precision


def prove_function(function: Callable[..., Any], inputs: Sequence[Any], faces: Faces, effort: Effort) -> Report:
    """Everything that can be said about a function at a point. Raises `Problem`s about the call itself."""
    started = time.perf_counter()
    own_state = torch.get_rng_state()
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
            warnings.simplefilter("ignore")  # what a call warns of, it would say a thousand times
            ledger = _proven(function, inputs, faces, effort)
    finally:
        torch.set_rng_state(own_state)
    return Report(tuple(ledger.findings), effort.seed, time.perf_counter() - started)


def _proven(function: Callable[..., Any], inputs: Sequence[Any], faces: Faces, effort: Effort) -> Ledger:
    """In float64; where the function holds numbers that do not mix with it, with these in float64 too; at last in the
    caller's own precision."""
    family = "modules" if isinstance(function, nn.Module) else "functions"
    attempts: list[tuple[torch.dtype | None, bool]] = [(torch.float64, False), (torch.float64, True), (None, False)]
    for dtype, constants in attempts:
        callee = taken_apart(function, inputs, dtype)
        ledger = Ledger(family, callee.name, {})
        with at_precision(callee, dtype, constants), _said(ledger):
            _prove(callee, faces, effort, ledger)
        if not any(finding.check == "precision of the proof" for finding in ledger.findings):
            break
    return ledger


@contextmanager
def _said(ledger: Ledger) -> Iterator[None]:
    """A function that raises in the middle of its proof is refused; what was found before stays."""
    try:
        yield
    except (Exception, SystemExit) as error:
        note = f"it was called before and now raises {type(error).__name__}: {first_line(error)}"
        ledger.write("call", "fail", note=note, sample=0, point="the point given")


def prove_point(callee: Callee, faces: Faces, ledger: Ledger, effort: Effort) -> Trial | None:
    """Every check at the caller's own point; None where the function cannot be called or differentiated there."""
    where: dict[str, Any] = {"sample": 0, "point": "the point given"}
    for name, module in callee.reads.modules.items():
        if any(nn.parameter.is_lazy(p) for p in module.parameters()):
            note = f"the lazy module {name or callee.name} has no weights yet: call it once before"
            ledger.write("call", "fail", note=note, **where)
            return None
    for name in callee.complexes:
        note = "a complex parameter is not differentiated by: make it two real ones"
        ledger.write(f"gradient of {name}", "unresolved", note=note, **where)
    if not callee.moved and not callee.parameters:
        note = "no input is a dense tensor of real or complex numbers: there is nothing to derive by"
        ledger.write("inputs", "fail", note=note, **where)
        return None
    probe = callee.probe()
    trial = None
    try:
        answer = called_twice(callee, probe, ledger, where)
        if answer is None:
            return None
        begun = Trial(*answer, ledger, effort.generator(), where, effort)
        if not differentiated(begun):
            return None
        prove_registered(begun)
        if faces.surrogate is not None:
            prove_surrogate(faces.surrogate, begun.callee, begun.probe, begun.together, ledger, **where)
        elif prove_tensors(begun):
            _derivatives(begun)
        trial = begun
    finally:
        if trial is None:
            probe.kept.restore()
    return trial


def _prove(callee: Callee, faces: Faces, effort: Effort, ledger: Ledger) -> None:
    trial = prove_point(callee, faces, ledger, effort)
    if trial is None:
        return
    callee, probe, where = trial.callee, trial.probe, trial.where
    try:
        forward = traced(lambda: probe.at(probe.moved({}, 0.0)))
        if all(finding.ok for finding in ledger.findings) and trial.together.connected:
            free = [name for name in callee.free if name in trial.together.connected]
            prove_batched(probe, free, trial.together, ledger, **where)
            prove_layouts(trial, forward)
            if not (probe.kept.random or forward.seeded):  # numbers of another precision are drawn otherwise
                prove_precision(callee, trial.together.weights, ledger, **where)
        if faces.textbook is not None:
            prove_textbook(faces.textbook, callee, probe, ledger, **where)
        if faces.gradient is not None:
            prove_gradient(faces.gradient, callee, probe, trial.together, ledger, **where)
        prove_running(callee, ledger, **where)
        both = traced(lambda: pulls(probe, [("", trial.together.weights)]), grad=True)
        for number, point in enumerate(drawn(callee, forward, both, trial.generator), 1):
            prove_elsewhere(callee, point, faces, effort, ledger, {"sample": number, "point": f"drawn: {point.what}"})
        _other_mode(trial, effort, ledger, len(ledger.findings))
    finally:
        probe.kept.restore()


def _derivatives(trial: Trial) -> None:
    """Forward mode, repeated and scaled backward passes, further derivatives."""
    probe, ledger, where = trial.probe, trial.ledger, trial.where
    free = [name for name in trial.callee.free if probe.leaves[name].numel() and name in trial.together.connected]
    if not trial.together.connected:
        return
    prove_repeated(probe, trial.together, ledger, **where)
    prove_linear(probe, trial.together, ledger, **where)
    if not free:
        return
    one, two = trial.direction(free), trial.direction(free)
    _forward(trial, one)
    kinked = any(f.verdict == "kink" for f in ledger.findings)
    for order in range(2, trial.effort.order + 1):
        if kinked or not prove_order(probe, one, trial.together, order, ledger, **where):
            break
    if trial.effort.order >= 2 and not kinked:
        prove_symmetry(probe, one, two, trial.together, ledger, **where)


def _forward(trial: Trial, direction: Values) -> None:
    """Forward mode against reverse mode, exactly: no differences."""
    try:
        tangent = tangents(trial.probe, direction)
    except Missing:
        return
    if any(tangent[name].shape != w.shape for name, w in trial.together.weights.items()):
        return
    for pull in trial.pulls:
        holds, pushed, pulled, digits = forward_holds(trial.probe, pull, tangent, direction)
        verdict: Verdict = "pass"
        note = ""
        if not holds:
            casts = traced(lambda: trial.probe.at(trial.probe.moved({}, 0.0))).casts
            verdict = "precision" if casts and digits > 2 else "fail"
            note = (
                f"a cast inside loses digits: {casts[0]}"
                if verdict == "precision"
                else "forward mode (jvp) is not the transpose of backward"
            )
        check = "forward mode" + (f" through {pull.of}" if pull.of else "")
        trial.ledger.write(check, verdict, got=pushed, expected=pulled, digits=digits, note=note, **trial.where)


def _other_mode(known: Trial, effort: Effort, ledger: Ledger, sample: int) -> None:
    """A module that computes or derives something else in its other mode is looked at there too."""
    callee = known.callee
    if callee.owned is None:
        return
    training = callee.owned.training
    probe = callee.probe()
    try:
        here = probe.at(probe.moved({}, 0.0))
        probe.kept.restore()
        _switch(callee.owned, not training)
        there = probe.at(probe.moved({}, 0.0))
        if _follows(callee.owned, probe):
            return
        if all(same_bits(here[name], there[name]) for name in here) and _derives_alike(probe, known.together):
            return
        mode = "evaluation" if training else "training"
        where = {"sample": sample, "point": f"the point given, in {mode} mode"}
        fresh = callee.probe()
        trial = Trial(callee, fresh, ledger, effort.generator(sample), where, effort)
        if called_twice(callee, fresh, ledger, where) is not None and differentiated(trial):
            names = list(fresh.leaves)
            for pull, found in zip(trial.pulls[:1], measured(trial, names)[:1], strict=True):
                if found.verdict == "pass":
                    trial.note("gradient of all together", found)
                else:
                    for name in names:
                        (one, *_) = measured(trial, [name])
                        write_tensor(trial, name, pull, one, alone=False)
    except Exception:  # a mode that does not run at this point
        return
    finally:
        _switch(callee.owned, training)
        probe.kept.restore()


def _derives_alike(probe: Probe, pull: Pull) -> bool:
    """Whether the gradients are those of the mode that has been proven."""
    (other,) = pulls(probe, [("", pull.weights)])
    return all(same_bits(g, pull.gradient[name]) for name, g in other.gradient.items())


def _switch(module: nn.Module, training: bool) -> None:
    module.train(training)
    hold_power_iterations(module)


def _follows(module: nn.Module, probe: Probe) -> bool:
    """Whether a call moves numbers that are no running statistics: they may follow the weights as constants."""
    moving = {id(tensor) for tensor, _ in probe.kept.moved()}
    return any(
        id(buffer) in moving and buffer.is_floating_point() and not name.rpartition(".")[2].startswith("running_")
        for name, buffer in module.named_buffers()
    )
