"""The check-up before a long run: what its first steps say about the rest, in half a minute.

Every part begins where the run begins, with the same weights and random numbers; nothing is written.
"""

from __future__ import annotations

import itertools
import math
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradtrain.assemble import Parts, input_shape
from gradtrain.config.sections import Run
from gradtrain.diagnostics.chance import constant_answers
from gradtrain.diagnostics.monitor import Monitor
from gradtrain.flow import Flow, flow_of
from gradtrain.gradients import Backward, measured
from gradtrain.problems import Problem
from gradtrain.training import state
from gradtrain.training.evaluation import measure
from gradtrain.training.loop import Step, train
from gradtrain.training.phase import Phase
from gradtrain.training.timed import PARTS, Clock, forward_timed, timed
from gradtrain.training.update import NonFinite

WARM = 4
"""Steps that are not timed, where there are more: the first ones allocate and choose kernels."""
TIMED = 200
"""Steps that are timed at most."""
LEAST, MOST = 20, 120
"""Learning rates of the range test, as the time allows."""
FARTHEST = 1e3
"""How far it reaches from the configured rate, down and up; in any case from 1e-7 to 10."""
WORSE = 4.0
"""How many times the least loss is divergence."""
SMOOTH = 0.8
"""Share of the running mean of the loss that is kept from rate to rate."""
BATCHES = 5
"""Batches of an evaluation that are timed."""


@dataclass(frozen=True)
class Cost:
    """Time and memory of a step, and of the whole run."""

    step: float
    """Seconds, the mean of the timed steps."""
    shares: Mapping[str, float]
    """Of `PARTS`; what is left is the loop itself."""
    samples: float
    """Samples a second."""
    steps: int
    """Of the whole run."""
    training: float
    """Seconds of all steps, where a rule that searches takes as many evaluations a step as it may."""
    evaluating: float
    """Seconds of all evaluations."""
    weights: int
    """Bytes of parameters and buffers."""
    optimizer: int
    """Bytes that the optimizers keep."""
    graph: int
    """Bytes that one step keeps for its backward pass."""
    peak: int
    """Bytes: the most that this process (on a GPU: its tensors) has held."""


@dataclass(frozen=True)
class Sweep:
    """A learning-rate range test: one step at each rate, from far too small to far too large.

    paper  Smith (2017), Cyclical Learning Rates for Training Neural Networks, WACV, arXiv:1506.01186
    """

    rates: tuple[float, ...]
    """Those that were tried; none where the test says nothing, for a reason that `says` gives."""
    losses: tuple[float, ...]
    """Running means of the total at each rate."""
    steepest: float | None
    """The rate at which the loss falls fastest by the logarithm of the rate; None where it never falls."""
    diverges: float | None
    """The first rate at which the loss is four times its least; None where none is."""
    configured: float
    """The highest rate of the run."""
    says: str


@dataclass(frozen=True)
class Diagnosis:
    """What the first steps of a run say about the rest."""

    flow: Flow
    total: float
    """What is differentiated at the first step."""
    uniform: float | None
    """Loss of an answer that holds everything for equally likely, where that is known."""
    gradients: tuple[Backward, ...]
    """One an update, at the weights as they start."""
    cost: Cost
    sweep: Sweep
    watched: int
    """Steps that were watched at the run's own rates."""
    findings: tuple[Mapping[str, Any], ...]
    """As the journal has them, in the order in which they began."""
    warnings: tuple[Problem, ...]
    seconds: float


def examined(run: Run, parts: Parts, warnings: Sequence[Problem], seconds: float) -> Diagnosis:
    """Look at the beginning of a run for about so many seconds. torch's generators move on; nothing is written."""
    began = time.perf_counter()
    inputs = {role: input_shape(network, parts.facts) for role, network in run.networks.items()}
    flow = flow_of(run, parts.source, parts.networks, inputs)
    beginning = Beginning(parts)
    gradients = measured(parts, flow)
    beginning.restore()
    cost = _cost(run, parts, beginning, seconds / 4)
    sweep = _sweep(run, parts, beginning, int(seconds / 3 / cost.step) if cost.step > 0 else MOST)
    steps, findings = _watch(run, parts, beginning, max(1.0, seconds - (time.perf_counter() - began)))
    total = sum(update.total for update in gradients)
    uniform = constant_answers(run, parts).uniform
    took = time.perf_counter() - began
    return Diagnosis(flow, total, uniform, gradients, cost, sweep, steps, findings, tuple(warnings), took)


class Beginning:
    """The state of a run before its first step, to go back to."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.phase = parts, parts.phases[0]
        self.phase.begin()
        tensors, self.numbers = state.capture(
            parts.networks, self.phase.distinct, self.phase.rate, parts.precision, parts.task, parts.pipeline
        )
        self.tensors = {name: tensor.clone() for name, tensor in tensors.items()}

    def restore(self) -> None:
        parts, phase = self.parts, self.phase
        state.restore(
            self.tensors, self.numbers, parts.networks, phase.distinct, phase.rate, parts.precision, parts.task
        )


def _until(steps: Iterator[Step], seconds: float) -> Iterator[Step]:
    """Steps as long as there is time; at least one."""
    limit = time.perf_counter() + seconds
    for step in steps:
        yield step
        if time.perf_counter() > limit:
            return


def _cost(run: Run, parts: Parts, beginning: Beginning, seconds: float) -> Cost:
    """Time the first steps of the first phase, part by part."""
    phase, clock = beginning.phase, Clock(parts.device)
    if parts.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(parts.device)
    number, whole = 0, 0.0
    keeping = Keeping([tensor for network in parts.networks.values() for tensor in network.parameters()])
    try:
        with keeping:
            for _ in train(**parts.arguments(phase), steps=1):
                pass
        with forward_timed(clock, parts.networks):
            steps = train(**timed(clock, parts.arguments(phase)), start=1, steps=min(phase.end, WARM + TIMED))
            for _ in itertools.islice(steps, max(0, min(WARM, phase.end) - 2)):
                pass
            clock.seconds.clear()
            before = clock.now()
            number = sum(1 for _ in _until(steps, seconds))
            whole = clock.now() - before
    except NonFinite:
        number = 0
    tensors, _ = state.capture(parts.networks, phase.distinct, phase.rate, parts.precision, parts.task, parts.pipeline)
    mean = whole / number if number else math.nan
    shares = {part: clock.seconds[part] / whole if number else math.nan for part in PARTS}
    beginning.restore()
    return Cost(
        step=mean,
        shares=shares,
        samples=parts.splits["train"].size / mean,
        steps=parts.steps,
        training=mean * sum((p.end - p.start) * _often(p) / _often(phase) for p in parts.phases),
        evaluating=_evaluating(run, parts),
        weights=sum(t.nbytes for name, t in tensors.items() if name.startswith(state.WEIGHTS)),
        optimizer=sum(t.nbytes for name, t in tensors.items() if name.startswith("update.")),
        graph=keeping.size,
        peak=_peak(parts.device),
    )


def _often(phase: Phase) -> int:
    """How often a step of the phase evaluates the loss, at most."""
    return max(getattr(update.rule, "max_iter", 1) if update.rule.closure else 1 for update in phase.updates)


def _evaluating(run: Run, parts: Parts) -> float:
    """Seconds of all evaluations of the run, from the first batches of each split."""
    times = max(1, parts.steps // run.evaluation.every.steps(parts.per_epoch))
    whole = 0.0
    for split in run.evaluation.splits:
        batches = parts.splits.get(split)
        if batches is None:
            continue
        limit = BATCHES if run.evaluation.batches == "all" else min(BATCHES, run.evaluation.batches)
        rows = batches.count if batches.measured is None else max(map(len, batches.measured.values()))
        count = -(-rows // batches.size)
        count = count if run.evaluation.batches == "all" else min(count, run.evaluation.batches)
        began = time.perf_counter()
        measure(
            parts.task, parts.networks, batches, parts.metrics, parts.kind, parts.facts, parts.precision, limit
        )  # fmt: skip
        whole += (time.perf_counter() - began) * max(1.0, count / limit) * times
    return whole


class Keeping(torch.autograd.graph.saved_tensors_hooks):
    """The most bytes that graphs keep at a time for their backward passes, without the weights."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__(lambda tensor: Kept(self, tensor), lambda kept: kept.tensor)
        self.weights = {tensor.untyped_storage().data_ptr() for tensor in weights}
        self.holders: Counter[int] = Counter()
        self.now = self.size = 0


class Kept:
    """A tensor that a graph keeps, until the graph is gone."""

    def __init__(self, keeping: Keeping, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self.keeping, self.tensor, self.place = keeping, tensor, storage.data_ptr()
        self.bytes = 0 if self.place in keeping.weights else storage.nbytes()
        keeping.now += self.bytes if not keeping.holders[self.place] else 0
        keeping.holders[self.place] += 1
        keeping.size = max(keeping.size, keeping.now)

    def __del__(self) -> None:
        self.keeping.holders[self.place] -= 1
        self.keeping.now -= self.bytes if not self.keeping.holders[self.place] else 0


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(frozen=True)
class Rising:
    """The learning rates of a range test."""

    first: float
    last: float
    count: int

    def at(self, step: int) -> float:
        return float(self.first * (self.last / self.first) ** (step / (self.count - 1)))


def _sweep(run: Run, parts: Parts, beginning: Beginning, count: int) -> Sweep:
    """One step at each of `count` rates, until the loss has diverged."""
    phase = beginning.phase
    configured = phase.peak
    reason = (
        f"`{run.objective.name()}` minimises nothing whose size is progress" if not run.objective.ranked
        else "the rule evaluates the loss several times a step" if any(u.rule.closure for u in phase.updates)
        else f"{LEAST} steps take too long here" if count < LEAST
        else "the rate is 0" if configured <= 0
        else ""
    )  # fmt: skip
    if reason:
        return Sweep((), (), None, None, configured, f"no range test: {reason}")
    rising = Rising(min(1e-7, configured / FARTHEST), max(10.0, configured * FARTHEST), min(count, MOST))
    rates: list[float] = []
    losses: list[float] = []
    diverges: float | None = None
    mean = weight = 0.0
    try:
        for step in train(**{**parts.arguments(phase), "rate": rising}, steps=rising.count):
            mean = SMOOTH * mean + (1 - SMOOTH) * float(step.total)
            weight = SMOOTH * weight + (1 - SMOOTH)
            rates.append(step.rate)
            losses.append(mean / weight)
            if losses[-1] > WORSE * min(losses) > 0:
                diverges = step.rate
                break
    except NonFinite:
        diverges = rising.at(len(rates))
    beginning.restore()
    return judged(rates, losses, diverges, configured)


def judged(rates: Sequence[float], losses: Sequence[float], diverges: float | None, configured: float) -> Sweep:
    """What the losses at rising rates say about the configured one."""
    end = losses.index(min(losses)) if losses else 0
    slopes = [(losses[i - 1] - losses[i], rates[i]) for i in range(1, end + 1)]
    steepest = max(slopes)[1] if slopes and max(slopes)[0] > 0 else None
    if diverges is not None and configured >= diverges:
        says = f"the rate {configured:.2g} is beyond where the loss diverges, {diverges:.2g}"
    elif diverges is not None and configured > diverges / 3:
        says = f"the rate {configured:.2g} is close to where the loss diverges, {diverges:.2g}"
    elif steepest is not None and configured < steepest / 100:
        says = f"the rate {configured:.2g} is far below the one at which the loss falls fastest, {steepest:.2g}"
    elif steepest is None:
        says = "the loss falls at no rate within these steps"
    else:
        says = f"the rate {configured:.2g} is in the range in which the loss falls"
    return Sweep(tuple(rates), tuple(losses), steepest, diverges, configured, says)


def _watch(run: Run, parts: Parts, beginning: Beginning, seconds: float) -> tuple[int, tuple[Mapping[str, Any], ...]]:
    """Train at the run's own rates under the eyes of its diagnostics: (steps, findings that began)."""
    phase, number = beginning.phase, 0
    monitor = Monitor(run, parts, {})
    found: list[Mapping[str, Any]] = []
    monitor.before(0)
    try:
        for step in _until(train(**parts.arguments(phase), steps=phase.end), seconds):
            number = step.number
            logged = number % run.logging.every.steps(parts.per_epoch) == 0
            if logged or number == monitor.due:
                found += [line for line in monitor.after(step, phase, logged) if line["kind"] == "finding"]
            monitor.before(number)
    except NonFinite as error:
        at = {"name": "nonfinite", "network": "", "layer": "", "since": number + 1}
        rule, lower = phase.updates[-1].rule, phase.peak / 10
        remedy = f"optimizer: {{{rule.name()}: {{lr: {lower:.2g}}}}}"
        why = {"evidence": str(error), "cause": "the steps are too large, or a sample is no number", "remedy": remedy}
        found.append({"kind": "finding", "step": number + 1, "event": "began", **at, **why})
    monitor.ear.detach()
    beginning.restore()
    return number, tuple(line for line in found if line["event"] == "began")
