"""A component's derivatives against themselves: differences, forward mode, further derivatives, linearity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradtrain.gradcheck.finding import Ledger
from gradtrain.gradcheck.kept import Kept
from gradtrain.gradcheck.modes import Missing, forward_holds, prove_linear, prove_repeated, tangents
from gradtrain.gradcheck.orders import prove_order, prove_symmetry
from gradtrain.gradcheck.probe import Probe, Values
from gradtrain.gradcheck.reverse import Pull, compare, pulls
from gradtrain.gradcheck.singular import judged
from gradtrain.gradcheck.subject import Subject
from gradtrain.gradcheck.trial import gaussian

ROUNDED = 1e-13
"""A component's samples are numbers around 1: a derivative this small is what rounding has left of them."""


def prove_consistent(
    subject: Subject, ledger: Ledger, generator: torch.Generator, thoroughly: bool, surrogate: str = ""
) -> None:
    """Along one random direction of all leaves together; `thoroughly` adds second derivatives and repetitions.

    The closed forms have been compared element by element: this is the witness that knows none of them. A backward
    pass that stands for a `surrogate` has no witness but its closed form: where it differs, that is `intended`.
    """
    where: dict[str, Any] = {"sample": subject.sample, "point": subject.point}
    leaves = {name: subject.inputs[name] for name in subject.leaves}
    fixed = {name: tensor for name, tensor in subject.inputs.items() if name not in leaves}

    def call(now: Values) -> Tensor:
        return subject.implementation({**fixed, **now})

    probe = Probe(leaves, call, Kept(subject.buffers))
    suffix = "" if subject.of == "forward" else f" of {subject.of}"
    try:
        shape = probe.at({name: leaf.detach() for name, leaf in leaves.items()})["output"].shape
        weights = {"output": torch.randn(shape, generator=generator, dtype=torch.float64)}
        (pull,) = pulls(probe, [("", weights)])
        learning = {name: leaf for name, leaf in leaves.items() if name in pull.connected and leaf.numel()}
        if not learning:
            return
        one = {name: gaussian(leaf, generator) for name, leaf in learning.items()}
        _differences(probe, one, pull, ledger, suffix, generator, where)
        if surrogate:
            if not ledger.findings[-1].ok:
                note = f"backward is that of {surrogate}"
                ledger.findings[-1] = replace(ledger.findings[-1], verdict="intended", note=note)
            return
        _forward(probe, one, pull, ledger, suffix, where)
        if thoroughly:
            two = {name: gaussian(leaf, generator) for name, leaf in learning.items()}
            prove_repeated(probe, pull, ledger, **where)
            prove_linear(probe, pull, ledger, **where)
            if prove_order(probe, one, pull, 2, ledger, **where):
                prove_symmetry(probe, one, two, pull, ledger, **where)
    finally:
        probe.kept.restore()


def _differences(
    probe: Probe,
    direction: Values,
    pull: Pull,
    ledger: Ledger,
    suffix: str,
    generator: torch.Generator,
    where: Mapping[str, Any],
) -> None:
    (found,) = compare(probe, direction, [pull])
    floor = ROUNDED * sum(float(w.abs().sum()) for w in pull.weights.values())
    if found.verdict != "pass" and abs(found.automatic - found.numeric) <= floor:
        found = replace(found, verdict="pass")
    if found.verdict != "pass":
        found = judged(probe, direction, pull, found, generator)
    ledger.write(
        f"differences{suffix}", found.verdict, digits=found.digits, got=found.automatic, expected=found.numeric,
        bound=found.error, note=found.note, **where,
    )  # fmt: skip


def _forward(
    probe: Probe, direction: Values, pull: Pull, ledger: Ledger, suffix: str, where: Mapping[str, Any]
) -> None:
    try:
        tangent = tangents(probe, direction)
    except Missing:
        return
    holds, pushed, pulled, digits = forward_holds(probe, pull, tangent, direction)
    note = "" if holds else "forward mode (jvp) is not the transpose of backward"
    ledger.write(
        f"forward mode{suffix}", "pass" if holds else "fail", got=pushed, expected=pulled, digits=digits, note=note,
        **where,
    )  # fmt: skip
