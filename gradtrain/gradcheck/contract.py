"""The contract of every component: what its family promises, checked for every case at every sample."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from gradtrain.components.activations import Activation
from gradtrain.components.games import Game
from gradtrain.components.initializers import Initializer
from gradtrain.components.layers.save import Save
from gradtrain.components.layers.take import Take
from gradtrain.components.losses import Loss
from gradtrain.components.models import Model
from gradtrain.components.optimizers import Optimizer
from gradtrain.components.regularizers import Regularizer
from gradtrain.components.schedules import Schedule
from gradtrain.gradcheck.finding import Finding, Ledger
from gradtrain.gradcheck.functions import of_activation, of_game, of_loss, of_regularizer
from gradtrain.gradcheck.proof import prove, prove_kept
from gradtrain.gradcheck.rules import prove_initializer, prove_optimizer, prove_schedule
from gradtrain.gradcheck.stages import of_model, of_skip, of_stage
from gradtrain.gradcheck.subject import Subject
from gradtrain.gradcheck.words import prove_docstring, prove_round_trip
from gradtrain.lazy import torch
from gradtrain.registry import Component
from gradtrain.stage import Stage

PROVEN_BY: dict[type[Component], str] = {
    Loss: "forward",
    Game: "critic",
    Regularizer: "forward",
    Stage: "forward",
    Model: "forward",
    Optimizer: "update",
    Schedule: "finite",
    Initializer: "finite",
}
"""Family → a check without which nothing was proven: an empty list of samples must not look like a proof."""


def check(family: str, name: str, cls: type[Component], seed: int = 0) -> list[Finding]:
    """Everything that can be said about one component, in a fixed order.

    `family` is the folder's name. The same seed gives the same findings, whatever else is checked; the state
    of torch's generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        ledger = Ledger(family, name, {})
        prove_docstring(family, cls, ledger)
        ledger.state("cases", bool(cls.cases), "`cases` is empty: nothing would be checked")
        findings = ledger.findings
        for number, case in enumerate(cls.cases):
            findings += _case(family, name, cls, case, _seed(seed, family, name, number))
        return findings


def _case(family: str, name: str, cls: type[Component], case: Mapping[str, Any], seed: int) -> list[Finding]:
    from gradtrain.gradcheck.consistent import prove_consistent  # it imports torch

    ledger = Ledger(family, name, case)
    component: Component | None = None
    with ledger.attempt("round trip"):
        component = cls(**case)
    if component is None:
        return ledger.findings
    prove_round_trip(component, ledger)
    torch.manual_seed(seed)
    with ledger.attempt("forward"):
        for number, subject in enumerate(subjects(component, _generator(seed), torch.float64)):
            own = _generator(seed + subject.sample + 1)
            prove(subject, ledger, own)
            if subject.of in ("forward", "critic", "generator"):  # what is reduced differs by a division only
                with ledger.attempt("differences", sample=subject.sample, point=subject.point):
                    declared = component.surrogate if isinstance(component, Stage) else ""
                    prove_consistent(subject, ledger, own, thoroughly=number == 0, surrogate=declared)
    with ledger.attempt("dtype"):
        for subject in subjects(component, _generator(seed), torch.float32):
            prove_kept(subject, ledger)
    match component:
        case Optimizer():
            prove_optimizer(component, ledger, _generator(seed))
        case Schedule():
            prove_schedule(component, ledger, _generator(seed))
        case Initializer():
            prove_initializer(component, ledger, seed)
    for family_class, wanted in PROVEN_BY.items():
        if isinstance(component, family_class):
            known = any(finding.check == wanted for finding in ledger.findings)
            ledger.state("coverage", known, f"nothing to prove: no sample or input shape led to a check of `{wanted}`")
    return ledger.findings


def subjects(component: Component, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    """Every point at which a function of tensors is proven; none for the families that are no functions."""
    match component:
        case Loss():
            yield from of_loss(component, generator, dtype)
        case Game():
            yield from of_game(component, generator, dtype)
        case Regularizer():
            yield from of_regularizer(component, generator, dtype)
        case Save() | Take():
            yield from of_skip(component, generator, dtype)
        case Stage():
            if isinstance(component, Activation):
                yield from of_activation(component, generator, dtype)
            yield from of_stage(component, generator, dtype)
        case Model():
            yield from of_model(component, generator, dtype)


def _seed(seed: int, *what: object) -> int:
    """A number that depends on what is checked, not on what was checked before it."""
    return zlib.crc32(repr((seed, *what)).encode())


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
