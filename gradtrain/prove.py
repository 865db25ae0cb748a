"""A whole configuration through the prover: the composed objective by every parameter tensor, update by update."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from gradtrain.assemble import Parts
from gradtrain.components.objectives import Task
from gradtrain.config.load import read
from gradtrain.gradcheck import Asked
from gradtrain.gradcheck.callee import Callee
from gradtrain.gradcheck.captured import Captured
from gradtrain.gradcheck.faces import Faces
from gradtrain.gradcheck.finding import Finding, Ledger
from gradtrain.gradcheck.prover import prove_point
from gradtrain.gradcheck.report import Report
from gradtrain.gradcheck.trial import Effort
from gradtrain.start import prepare
from gradtrain.training.batches import Batch
from gradtrain.training.phase import Phase
from gradtrain.training.update import Update

SAMPLES = 4
"""No more samples of the first batch than so many: every one costs time and proves the same."""

NUMBERS = 256
"""No more positions of sequences than so many, over all samples."""


def prove_config(path: Path, profile: str | None, overrides: Sequence[str], effort: Effort) -> Report:
    """Prove what a config minimises: forward, loss and regularization, in float64, on a few samples of its data.

    One round of findings for every update of every phase: the critic's and the generator's of a GAN apart. The
    parameters are as training begins; what an objective phases in (a warm-up) is at its full size. Raises `Problem`s as
    training would.
    """
    started = time.perf_counter()
    config = read(path, profile, [*overrides, "precision=float64", "device=cpu"])
    with torch.random.fork_rng(devices=[]):
        _, parts, _ = prepare(config, Path.cwd())
        findings: list[Finding] = []
        several = len(parts.phases) > 1
        for number, phase in enumerate(parts.phases):
            phase.begin(parts.phases[number - 1] if number else None)
            for update in phase.distinct:
                name = f"phase {number} {update.name}" if several else update.name
                findings += _of_update(name, parts, phase, update, effort)
    return Report(tuple(findings), effort.seed, time.perf_counter() - started)


def prove_configs(asked: Asked, before: Report, each: Callable[[str], None]) -> Report:
    """Every config that a command line names, after what was proven before. Raises `Problem`s."""
    findings, seconds = list(before.findings), before.seconds
    for path in asked.configs:
        each(str(path))
        effort = Effort(asked.seed, asked.directions, asked.order, asked.until)
        report = prove_config(path, asked.profile, asked.overrides, effort)
        for finding in report.findings:
            component = f"{path.stem}.{finding.component}"
            asked.files[component] = path
            findings.append(replace(finding, component=component))
        seconds += report.seconds
    return Report(tuple(findings), asked.seed, seconds)


def _of_update(name: str, parts: Parts, phase: Phase, update: Update, effort: Effort) -> list[Finding]:
    whole = Whole(parts, phase, update)
    own = {whole.places[id(p)]: p for p in update.parameters if p.requires_grad and id(p) in whole.places}
    callee = Callee(whole, (), {}, (), False, own, whole, Captured(), name)
    ledger = Ledger("configs", name, {})
    trial = prove_point(callee, Faces(), ledger, effort)
    if trial is not None:
        trial.probe.kept.restore()
        _reach(whole, own, ledger)
    shapes = {place.removeprefix(whole.prefix): list(tensor.shape) for place, tensor in own.items()}
    return [_said(finding, whole.prefix, shapes) for finding in ledger.findings]


class Whole(nn.Module):
    """What one update minimises, as a module without inputs: its parameters are those of all networks."""

    def __init__(self, parts: Parts, phase: Phase, update: Update) -> None:
        super().__init__()
        for role, network in parts.networks.items():
            self.add_module(role, network)
        self.roles = tuple(parts.networks)
        self.prefix = "" if len(self.roles) > 1 else f"{self.roles[0]}."
        self.task, self.penalties, self.update = parts.task, phase.penalties, update.name
        self.step = phase.end - 1
        self.batch = few(next(iter(parts.splits["train"].starting_at(0))))
        self.places = {id(parameter): name for name, parameter in self.named_parameters()}

    def forward(self) -> Tensor:
        """The weighted losses and penalties, 0-d; the task keeps nothing of it."""
        networks = {role: self.get_submodule(role) for role in self.roles}
        task = _as_it_began(self.task)
        task.begin(self.step)
        total, _ = task.losses(self.update, networks, self.batch)
        penalties = copy.copy(self.penalties)
        penalties.by_update = {
            self.update: [
                (name, part, weight, [self._now(tensor) for tensor in tensors])
                for name, part, weight, tensors in self.penalties.by_update[self.update]
            ]
        }
        return penalties.added(self.update, total, networks, task)[0]

    def _now(self, tensor: Tensor) -> Tensor:
        """A parameter as this call sees it: it may be replaced by another tensor."""
        place = self.places.get(id(tensor))
        if place is None:
            return tensor
        owner, _, leaf = place.rpartition(".")
        found: Tensor = getattr(self.get_submodule(owner), leaf)
        return found


def few(batch: Batch) -> Batch:
    """The first samples of a batch."""
    longest = max((x[0].numel() for x in batch.values() if not x.is_floating_point() and x.ndim > 1), default=1)
    count = max(2, min(SAMPLES, NUMBERS // longest))
    chosen = Batch({name: x[:count] for name, x in batch.items()})
    chosen.first = batch.first
    return chosen


def _as_it_began(task: Task) -> Task:
    """A task whose lists and mappings are its own: what a call leaves in them is forgotten."""
    fresh = copy.copy(task)
    for name, value in vars(task).items():
        if isinstance(value, (list, dict)):
            setattr(fresh, name, copy.copy(value))
    return fresh


def _reach(whole: Whole, own: Mapping[str, Tensor], ledger: Ledger) -> None:
    """Who gets a gradient: no parameter that another update changes, and none at rest."""
    others = {name: p for name, p in whole.named_parameters() if name not in own and p.requires_grad}
    if not others:
        return
    total = whole()
    found = torch.autograd.grad(total, list(others.values()), allow_unused=True)
    reached = [name for name, g in zip(others, found, strict=True) if g is not None]
    note = f"backward of this update also reaches {', '.join(reached[:3])}, which it does not change: detach it"
    ledger.state("who gets a gradient", not reached, note)


def _said(finding: Finding, prefix: str, shapes: Mapping[str, list[int]]) -> Finding:
    """Parameters by the names that selectors use, and a tensor's shape where a function's point would be."""
    check = finding.check.replace(f" {prefix}", " ") if prefix else finding.check
    shape = shapes.get(check.removeprefix("gradient of "))
    return replace(finding, check=check, point="" if shape is None else f"{shape} float64")
