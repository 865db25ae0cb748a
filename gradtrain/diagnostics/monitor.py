"""Watches a run: looks at steps, writes down what it measures, and says what is wrong, once."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradtrain import registry
from gradtrain.assemble import Parts
from gradtrain.components.measures import Heard, Measure, Progress, Sign, Weight
from gradtrain.config.sections import Run
from gradtrain.diagnostics.chance import constant_answers
from gradtrain.diagnostics.distributions import histograms
from gradtrain.diagnostics.ear import Ear
from gradtrain.diagnostics.findings import Findings, Line
from gradtrain.diagnostics.interval import Interval
from gradtrain.diagnostics.looks import Looks
from gradtrain.problems import Place, Problem
from gradtrain.training.loop import Step
from gradtrain.training.phase import Phase

SMOOTH = 0.7
"""Share of the running mean of the total that is kept from look to look."""


class Monitor:
    """The health of a run. Between two looks it costs one comparison a step.

    `memory` is what a checkpoint keeps; all that the monitor says follows from it and from the run's own numbers.
    """

    def __init__(self, run: Run, parts: Parts, memory: dict[str, Any]) -> None:
        section, self.memory = run.diagnostics, memory
        memory.setdefault("evaluated", True)
        every = None if section.every is None else section.every.steps(parts.per_epoch)
        self.measures: list[Measure] = measures(section.measures)
        self.actions = section.on
        self.parts, self.looks, self.ear = parts, Looks(parts), Ear(parts.networks)
        self.noise = any(measure.name() == "noise_scale" for measure in self.measures)
        self.closely = any(measure.close for measure in self.measures)
        self.interval = Interval(every, section.budget.share, memory.setdefault("interval", {}))
        self.past: dict[str, dict[str, Any]] = memory.setdefault("past", {})
        self.findings = Findings(memory.setdefault("findings", {}))
        self.kept: dict[str, Any] = memory.setdefault("progress", {})
        chance = constant_answers(run, parts)
        self.fixed: dict[str, Any] = {
            "uniform": chance.uniform,
            "chance": chance.train,
            "chance_val": chance.val,
            "falls": run.objective.ranked,
            "known": any(network.trained for network in run.networks.values()),
        }
        self.before_step: dict[int, Tensor] = {}
        self.due, self.micros = 0, 1
        self.fatal: Line | None = None
        self.clock: tuple[float, int] | None = None
        self.between = 0.0
        """Seconds of the looks at what is free, since the last close look."""
        self.seconds = 0.0
        """Time that looking has taken in this process, but for listening within the step itself."""

    def before(self, step: int) -> None:
        """Called between two steps with the number of those finished: listen to the next one, where it is time."""
        if not self.closely:
            return
        if self.due <= step:
            self.due = self.interval.after(step)
        if self.due != step + 1:
            return
        phase = next((p for p in self.parts.phases if step < p.end), None)
        if phase is None or (step == phase.start and step > 0):  # a phase begins within the step's own call
            self.due = self.interval.after(step + 1)
            return
        self.forget()
        self.started = time.perf_counter()
        self.micros = max(update.accumulate for update in phase.updates)
        listened = phase.learning if self.micros > 1 and self.noise else ()
        self.ear.attach(self.parts.precision.state().get("scale", 1.0), listened)
        with torch.no_grad():
            copies = torch._foreach_clone([p.detach() for p in phase.learning])
        self.before_step = {id(p): copy for p, copy in zip(phase.learning, copies, strict=True)}
        self.seconds += time.perf_counter() - self.started

    def after(self, step: Step, phase: Phase, logged: bool) -> list[Line]:
        """Called after a step: the lines that the journal gets. `logged` steps are looked at for what is free."""
        close = bool(self.before_step)
        if not self.measures or not (close or (logged and self.free())):
            return []
        began = time.perf_counter()
        try:
            return self._after(step, phase, close)
        finally:
            took = time.perf_counter() - began
            self.seconds += took
            self.between += 0.0 if close else took

    def _after(self, step: Step, phase: Phase, close: bool) -> list[Line]:
        self.ear.detach()
        if not math.isfinite(float(step.total)) or (step.norm is not None and not math.isfinite(float(step.norm))):
            self.forget()  # a step that was not made
            return []
        progress = self.progressed(step)
        numbers: dict[str, Any] = {}
        found: list[Line] = []
        layers: list[Heard] = []
        weights: list[Weight] = []
        with torch.no_grad():
            micros = self.ear.parts(self.micros)
            for role, look in self.looks.at(step, phase, progress, self.ear.heard, self.before_step, micros):
                layers += look.layers
                weights += look.moving
                signs: list[tuple[Sign, int]] = []
                looked: list[str] = []
                for measure in self.measures:
                    if close or not measure.close:
                        values = measure.of(look)
                        numbers[measure.name()] = _joined(numbers.get(measure.name(), {}), values)
                        past = self.past.setdefault(f"{measure.name()}/{role}", {})
                        signs += [(sign, measure.lasts) for sign in measure.signs(values, look, past)]
                        looked += measure.finds
                kept = [(sign, lasts) for sign, lasts in signs if self.actions.get(sign.name) != "ignore"]
                found += self.findings.take(step.number, role, kept, looked)
        self.forget()
        lines = [{"kind": "health", "step": step.number, "measures": {k: v for k, v in numbers.items() if v != {}}}]
        if close and self.memory["evaluated"]:
            self.memory["evaluated"] = False
            lines.append(_drawn(step.number, layers, weights))
        for line in found:
            if line["event"] == "began" and self.actions.get(line["name"]) == "stop":
                self.fatal = self.fatal or line
        if close:
            self.timed(step.number)
        return [*lines, *found]

    def forget(self) -> None:
        """Let go of what a close look held."""
        self.ear.detach()
        self.ear.forget()
        self.before_step = {}

    def free(self) -> bool:
        """Whether this logged step is looked at: one of the first ten, then a fifth; of those where `every` is written,
        as many as the budget leaves of the close looks.

        On digits-mlp, whose steps are the shortest, a look at every tenth step costs 7 % of the time.
        """
        count: int = self.memory.get("logged", 0) + 1
        self.memory["logged"] = count
        nth: int = 5 if self.interval.every is None else self.interval.memory["times"]
        return count <= 10 or count % nth == 0

    def progressed(self, step: Step) -> Progress:
        """How the run goes, by what is differentiated without the penalties."""
        value = float(step.total) - sum(float(penalty) for penalty in step.penalties.values())
        if math.isfinite(value):
            kept = self.kept
            kept.setdefault("first", value)
            kept["now"] = SMOOTH * kept["now"] + (1 - SMOOTH) * value if "now" in kept else value
            kept["least"] = min(kept["now"], kept.get("least", math.inf))
        return Progress(**self.kept, **self.fixed)

    def evaluated(self, value: float) -> None:
        """What an evaluation found: the loss of the val split; nan where there is none."""
        self.memory["evaluated"] = True
        if math.isfinite(value):
            self.kept |= {"val": value, "least_val": min(value, self.kept.get("least_val", math.inf))}

    def timed(self, step: int) -> None:
        """What this look cost, beside the steps since the one before it."""
        now = time.perf_counter()
        if self.clock is not None and step - 1 > self.clock[1]:
            plain = (self.started - self.clock[0]) / (step - 1 - self.clock[1])
            self.interval.spent(now - self.started + self.between, plain)
        self.between = 0.0
        self.clock = (now, step)

    def refusal(self, folder: Place) -> Problem:
        """Why the run ends early: a finding that `diagnostics.on` says to stop at."""
        line = self.fatal or {}
        return Problem(
            "unhealthy",
            f"`{line['name']}` at `{line['layer'] or line['network']}` since step {line['since']}: {line['evidence']}",
            folder,
            f"{line['cause']}; `diagnostics: {{on: {{{line['name']}: stop}}}}` says to stop there, the state is saved",
            line["remedy"],
        )


def _drawn(step: int, layers: Sequence[Heard], weights: Sequence[Weight]) -> Line:
    outputs = [(layer.name, layer.output) for layer in layers if layer.output is not None]
    gradients = [(weight.name, weight.gradient) for weight in weights if weight.gradient is not None]
    return {
        "kind": "distributions",
        "step": step,
        "activations": histograms(outputs),
        "gradients": histograms(gradients),
    }


def measures(chosen: Sequence[Measure] | str) -> list[Measure]:
    """The measures that a config means by `all`, `none` or a list of them."""
    if isinstance(chosen, str):
        chosen = [registry.find(Measure, name)() for name in registry.names(Measure)] if chosen == "all" else []
    return list(chosen)


def _joined(before: dict[str, float] | float, values: Mapping[str, float]) -> dict[str, float] | float:
    """Numbers of several networks in one mapping; the one number of a network alone."""
    if set(values) == {""} and before == {}:
        return float(f"{values['']:.5g}")
    short = {name: float(f"{value:.5g}") for name, value in values.items()}
    return {**before, **short} if isinstance(before, dict) else before
