"""A run from its config to its end: assemble the parts, consume the loop, save, log, show, stop."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gradtrain import saving
from gradtrain.assemble import Parts
from gradtrain.components.metrics import Value
from gradtrain.config.sections import Run
from gradtrain.diagnostics.monitor import Monitor
from gradtrain.drawing import drawn, files
from gradtrain.memory import Memory, number_at
from gradtrain.nonfinite import Guard, slowed, spike
from gradtrain.problems import Place, Problem, out_of_memory
from gradtrain.report.display import Display
from gradtrain.report.logs import Logs
from gradtrain.report.model import plan_of
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.storage.journal import Journal
from gradtrain.training import state
from gradtrain.training.evaluation import measure
from gradtrain.training.loop import Step, train
from gradtrain.training.stop import Interrupted, Stop
from gradtrain.training.update import NonFinite, Searching


@dataclass
class Outcome:
    """How a run ended."""

    state: str
    """finished | interrupted | failed."""
    reason: str
    step: int
    results: dict[str, dict[str, Value]] = field(default_factory=dict)
    exit_code: int = 0


def execute(
    run: Run,
    parts: Parts,
    folder: RunFolder,
    display: Display,
    warnings: list[Problem],
    stop: Stop,
    *,
    resume: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Train to the end, or to a signal; the folder's lock and listening to signals are the caller's. Raises `Problem`s.

    `limit` cuts every evaluation to that many batches.
    """
    with stop.patiently():
        return Runner(run, parts, folder, display, limit, stop).run_all(warnings, resume)


class Runner:
    """One process's share of a run."""

    def __init__(
        self,
        run: Run,
        parts: Parts,
        folder: RunFolder,
        display: Display,
        limit: int | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.run, self.parts, self.folder, self.display = run, parts, folder, display
        self.limit = limit if limit is not None else None if run.evaluation.batches == "all" else run.evaluation.batches
        self.stop = stop or Stop()
        self.memory = Memory()
        self.guard = Guard(run, parts, folder)
        self.monitor = Monitor(run, parts, self.memory.health)
        self.measured: dict[str, dict[str, Value]] = {}
        self.modes: dict[str, str] = {
            "loss": "min",
            **run.objective.measures,
            **{metric.name(): metric.mode for metric in parts.metrics},
        }
        self.phase = parts.phases[0]
        self.every = {
            name: section.every.steps(parts.per_epoch)
            for name, section in (("log", run.logging), ("measure", run.evaluation), ("save", run.checkpoint))
        }
        self.logs = Logs(run.logging.to, run.name, folder.path, display.warn)
        has_val = "val" in parts.splits and "val" in run.evaluation.splits
        self.best = run.checkpoint.best or ("val.loss" if has_val and run.objective.ranked else None)

    def run_all(self, warnings: list[Problem], resume: bool) -> Outcome:
        start = self.restored() if resume else 0
        tight = saving.room(self.folder, self.run, self.parts, self.phase)
        if resume:
            self.monitor = Monitor(self.run, self.parts, self.memory.health)
        self.began = time.monotonic()
        known = self.memory.journal if resume else 0
        self.journal = Journal(self.folder.journal, known, self.display.warn, self.logs.write)
        self.display.begin(plan_of(self.run, self.parts, str(self.folder.path), start, self.best))
        self.logs.begin(start)
        for problem in (*warnings, *tight):
            self.display.warn(problem)
        self.folder.write_status("running", step=start)
        outcome = None
        try:
            outcome = self.trained(start)
        except BaseException as raised:
            error = out_of_memory(raised) or raised
            code, why = (error.exit_code, error.what) if isinstance(error, Problem) else (1, f"{error!r}")
            with contextlib.suppress(OSError, Problem):
                self.folder.write_status("failed", step=self.step, reason=why, exit_code=code)
            if error is raised:
                raise
            raise error from None
        finally:
            self.journal.close()
            self.logs.close("failed" if outcome is None else outcome.state)
        self.folder.write_status(outcome.state, step=outcome.step, reason=outcome.reason, exit_code=outcome.exit_code)
        spent = self.monitor.seconds / max(1e-9, time.monotonic() - self.began)
        self.display.health(self.monitor.findings.told, spent)
        self.display.end(outcome.state, outcome.reason, outcome.results, self.seconds(), outcome.step)
        return outcome

    step = 0
    saved = 0
    """The step whose checkpoint is on the disk; that of no step is never needed."""

    def trained(self, start: int) -> Outcome:
        try:
            return self.all_steps(start)
        except Interrupted as signal:
            if self.saved != self.step:
                self.save(due=False)
            when = f"saved at step {self.saved}" if self.saved else "before the first step"
            return Outcome("interrupted", f"{signal}, {when}", self.step, exit_code=signal.exit_code)

    def all_steps(self, start: int) -> Outcome:
        """Train, and do after every step what is due. Raises `Interrupted` between two steps, or where it is safe."""
        self.step = self.saved = start
        if self.memory.pending:  # a signal broke off what followed this step
            self.followed()
        self.enter(start)
        if self.memory.patience_is_out(self.run):  # known before this process began, but nobody could say so
            return self.finished(self.stopped_early())
        self.stop.check()
        self.monitor.before(start)
        if self.guard.returns and not checkpoint.steps(self.folder.checkpoints):
            self.save()  # there is something to go back to from the first step on
        for step in self.steps(start):
            self.step = number = step.number
            if logged := self.due("log"):
                self.logged(step)
            if logged or number == self.monitor.due:
                self.watched(step, logged)
            if self.display.wants(number):
                self.shown(step)
            self.followed()
            if self.memory.patience_is_out(self.run):
                return self.finished(self.stopped_early())
            if self.monitor.fatal:
                self.save(due=False)
                raise self.monitor.refusal(Place(str(self.folder.path)))
            self.monitor.before(number)
        return self.finished("done")

    def followed(self) -> None:
        """Draw, measure and save, each where it is time. Raises `Interrupted`."""
        self.memory.pending = True
        self.draw()
        improved = self.due("measure") and self.evaluated()
        self.memory.pending = False
        due = improved or self.due("save") or self.memory.patience_is_out(self.run)
        if due or self.stop.save:
            self.stop.save = False
            self.save(due)
        self.stop.check()

    def due(self, what: str) -> bool:
        """Whether it is time to log, measure or save; after the last step it is."""
        return self.step % self.every[what] == 0 or self.step == self.parts.steps

    def enter(self, start: int) -> None:
        """Begin the phase that the step after `start` belongs to."""
        phases = self.parts.phases
        index = next((i for i, phase in enumerate(phases) if start < phase.end), len(phases) - 1)
        before = self.phase if self.phase is not phases[index] else None
        if before is not None or start == 0:
            phases[index].begin(before)
        self.phase = phases[index]

    def steps(self, start: int) -> Iterator[Step]:
        """Every step of every phase that is left; a step that was not made passes like any other.

        A long one (L-BFGS) is broken off by a signal where nothing else is lost.
        """
        parts, guard = self.parts, self.guard
        while start < parts.steps:
            self.enter(start)
            phase = self.phase
            long = any(isinstance(update, Searching) for update in phase.updates)
            try:
                guard.mark(start)
                with self.heeding(lambda: self.saved == self.step) if long else contextlib.nullcontext():
                    for step in train(**parts.arguments(phase), start=start, steps=phase.end):
                        if step.norm is not None and guard.reads:
                            self.heard(step.number, step.norm)
                        yield step
                        guard.mark()
                guard.look(phase, phase.end, self.memory, self.journal)
                start = phase.end
            except NonFinite as error:
                yield self.passed(error)
                start = self.step

    def heeding(self, when: Callable[[], bool] = lambda: True) -> contextlib.AbstractContextManager[None]:
        """In here a signal is heeded at the next call of a network."""
        return self.stop.heeded(self.parts.networks.values(), when)

    def passed(self, error: NonFinite) -> Step:
        """The step that was not made, as the policy has it: left out, or gone back from. Raises `Problem`."""
        rate, number = self.phase.rate.at(self.step), self.step + 1
        line = self.guard.judged(error, self.phase, self.step, self.memory)
        self.journal.write(line)
        self.display.warn(self.guard.warning(error, line))
        if self.guard.returns:
            self.go_back()
        else:
            self.guard.undo()
        lost = torch.tensor(math.nan)
        return Step(number, {}, {}, torch.tensor(error.loss), lost, rate)

    def go_back(self) -> None:
        """Take the state of the last checkpoint that was due; what is counted and remembered of the run stays."""
        kept, phase = self.memory, self.phase
        self.restored(kept.good)
        same = ("seconds", "health", "good", "rollbacks", "norms", "overflows")
        self.memory = replace(self.memory, **{name: getattr(kept, name) for name in same})
        slowed(self.run, self.parts.phases, self.memory)
        if phase is not self.phase:
            self.guard.anew(phase)

    def heard(self, number: int, norm: Tensor) -> None:
        """Take note of the norm of a gradient, which is reading it; on the CPU that is free."""
        value = float(norm)
        if (median := spike(value, self.memory.norms)) is not None:
            self.journal.write({"kind": "spike", "step": number, "grad_norm": value, "median": median})
            self.display.warn(self.guard.spiked(number, value, median))

    def finished(self, reason: str) -> Outcome:
        """Measure what is reported: the best weights where val chose them, else the last ones; test only now."""
        results = {split: dict(values) for split, values in self.measured.items()}
        chosen = self.step if self.memory.best_step is None else self.memory.best_step
        untested = "test" in self.parts.splits and "test" not in results
        if untested or chosen != self.step:
            found = checkpoint.load(self.folder.checkpoints, chosen)
            state.restore_weights(found.tensors, self.parts.networks, average=self.run.averaged)
            for split in [*(results if chosen != self.step else ()), *(["test"] if untested else [])]:
                results[split] = self.values(split)
                self.display.evaluated(chosen, split, results[split])
        if "test" in results and (untested or chosen != self.step):
            about = {"kind": "evaluation", "step": self.step, "split": "test", "weights": chosen}
            self.journal.write({**about, "metrics": results["test"]})
        return Outcome("finished", reason, self.step, results)

    def logged(self, step: Step) -> None:
        """One line of the journal; reading the tensors waits for the device, at this interval only."""
        self.guard.look(self.phase, self.step, self.memory, self.journal)
        norm = step.norm if step.norm is not None else self.phase.updates[-1].gradient_norm()
        if step.norm is None or not self.guard.reads:
            self.heard(step.number, norm)
        losses = {name: float(value) for name, value in step.losses.items()}
        line = {
            "kind": "step",
            "step": step.number,
            "epoch": self.epoch(step.number),
            "loss": {**losses, "total": float(step.total)},
            "penalty": {name: float(value) for name, value in step.penalties.items()},
            "lr": step.rate,
            "grad_norm": float(norm),
            "seconds": round(self.seconds(), 3),
        }
        if self.run.logging.layers:
            line["grad_norms"] = self.norms()
        self.journal.write(line)

    def watched(self, step: Step, logged: bool) -> None:
        """What the diagnostics see at this step."""
        for line in self.monitor.after(step, self.phase, logged):
            self.journal.write(line)
            if line["kind"] == "finding":
                self.display.found(line)

    def shown(self, step: Step) -> None:
        norm = step.norm if step.norm is not None else self.phase.updates[-1].gradient_norm()
        norms = self.norms() if self.display.detailed else {}
        self.display.step(step.number, float(step.total), step.rate, float(norm), norms)

    def norms(self) -> dict[str, float]:
        """The norm of every parameter's gradient, by its name."""
        return {n.name: float(n.tensor.grad.norm()) for n in self.parts.parameters if n.tensor.grad is not None}

    def epoch(self, step: int) -> int:
        """The epoch that a step belongs to, from 1."""
        return (step - 1) // self.parts.per_epoch + 1

    def seconds(self) -> float:
        return self.memory.seconds + time.monotonic() - self.began

    def values(self, split: str) -> dict[str, Value]:
        """One split, measured."""
        parts = self.parts
        with self.heeding():
            return measure(
                parts.task,
                parts.networks,
                parts.splits[split],
                parts.metrics,
                parts.kind,
                parts.facts,
                parts.precision,
                self.limit,
            )

    def evaluated(self) -> bool:
        """Whether the best value improved, after measuring every split of the config."""
        with self.averaged():
            found = [(split, self.values(split)) for split in self.run.evaluation.splits if split in self.parts.splits]
        for split, values in found:
            self.measured[split] = values
            self.journal.write({"kind": "evaluation", "step": self.step, "split": split, "metrics": values})
            self.display.evaluated(self.step, split, values)
        self.monitor.evaluated(number_at(self.measured, "val.loss"))
        rate = self.phase.rate
        schedule = rate.schedule
        if schedule is not None and schedule.watches:
            rate.observe(number_at(self.measured, getattr(schedule, "watch", "val.loss")))
        return self.memory.judged(self.run, self.best, self.modes, self.measured, self.step)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The weights as they are measured: their moving average, where the config says so."""
        swapped = self.phase.distinct if self.run.averaged else []
        for update in swapped:
            update.swap()
        try:
            yield
        finally:
            for update in swapped:
                update.swap()

    def draw(self) -> None:
        """Write down what the networks make up, where it is time."""
        parts, several, number = self.parts, len(self.run.sampling) > 1, self.step
        for index, section in enumerate(self.run.sampling):
            if number % section.every.steps(parts.per_epoch) == 0 or number == parts.steps:
                with self.averaged(), self.heeding():
                    made = drawn(parts.task, parts.networks, parts.splits.get("val", parts.splits["train"]), section)
                stem = f"samples/step-{number:08d}" + (f"-{index}-{section.source}" if several else "")
                for name, data in files(made, stem).items():
                    self.folder.write(name, data)

    def stopped_early(self) -> str:
        return f"`{self.run.early_stopping.watch}` stopped improving" if self.run.early_stopping else ""

    def save(self, due: bool = True) -> None:
        """Commit a checkpoint of this step; one that is not `due` was asked for from outside."""
        self.guard.look(self.phase, self.step, self.memory, self.journal)
        good = self.step if due else self.memory.good
        memory = replace(self.memory, good=good, seconds=self.seconds(), journal=self.journal.offset())
        try:
            path = saving.save(self.folder, self.run, self.parts, self.phase, self.step, memory, self.measured)
        except Problem as problem:
            if problem.code != "nonfinite-weights" or not self.guard.returns or self.step == self.parts.steps:
                raise
            self.guard.lost = self.guard.lost or NonFinite("a weight", math.nan)
            return
        self.memory.good, self.saved = good, self.step
        self.logs.flush()
        self.display.saved(self.step, str(path), memory.best_step == self.step)

    def restored(self, step: int | None = None) -> int:
        """Take everything back from the newest checkpoint that is whole, or that of a step; the step it was made at."""
        found = saving.restore(self.folder, self.run, self.parts, self.display.warn, step)
        self.phase, self.memory, self.measured = found.phase, found.memory, found.measured
        slowed(self.run, self.parts.phases, self.memory)
        return found.step
