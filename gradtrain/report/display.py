"""What a run shows while it trains: a live line on a terminal, plain lines elsewhere, events for machines."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from gradtrain.problems import Problem, render, safe
from gradtrain.report.tables import findings_table, results_table
from gradtrain.storage.journal import plain


@dataclass(frozen=True)
class Plan:
    """What is about to happen."""

    name: str
    folder: str
    start: int
    steps: int
    per_epoch: int
    samples: int
    """Samples in one full step."""
    model: Any
    """A table of the model, ready to print."""
    facts: str
    """One line about data, parameters, device."""
    watched: str | None = None
    """The evaluation value worth a place in the live line, as `val.accuracy`."""


class Display(Protocol):
    """Everything a run tells its user, in the order in which it happens."""

    detailed: bool
    """Whether `step` wants the norms of all gradients."""

    def begin(self, plan: Plan) -> None: ...

    def step(self, number: int, loss: float, rate: float, norm: float | None, norms: Mapping[str, float]) -> None:
        """Called at the display's own interval (`wants`), with numbers; `norms` is empty unless it is `detailed`."""

    def wants(self, number: int) -> bool:
        """Whether `step` should be called for this step: asked every step, so it must cost nothing."""

    def evaluated(self, number: int, split: str, values: Mapping[str, Any]) -> None: ...

    def saved(self, number: int, path: str, best: bool) -> None: ...

    def warn(self, problem: Problem) -> None: ...

    def found(self, line: Mapping[str, Any]) -> None:
        """A finding of the diagnostics that begins or ends, as the journal has it."""

    def health(self, lines: Sequence[Mapping[str, Any]], share: float) -> None:
        """All of them, before the end; the share of the time that the diagnostics took, 0 where there are none."""

    def end(
        self, state: str, reason: str, results: Mapping[str, Mapping[str, Any]], seconds: float, number: int
    ) -> None: ...


def number(value: Any) -> str:
    """Four significant digits, never wider than nine characters."""
    if not isinstance(value, (int, float)):
        return "…"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def clock(seconds: float) -> str:
    """`3s`, `2:05`, `1:02:05`."""
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Interval:
    """Asks for numbers a few times a second: the clock is read every step, the tensors are not."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.due = seconds, 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self.due:
            return False
        self.due = now + self.seconds
        return True


class Lasting:
    """A stream whose reader may leave without stopping a run: what cannot be written is dropped from then on.

    rich would end the process.
    """

    def __init__(self, stream: Any) -> None:
        self.stream, self.gone = stream, stream is None

    def write(self, text: str) -> int:
        """As of any stream; never raises OSError."""
        return self.tried(lambda: self.stream.write(text)) or len(text)

    def flush(self) -> None:
        """As of any stream; never raises OSError."""
        self.tried(lambda: self.stream.flush())

    def tried(self, act: Callable[[], Any]) -> Any:
        """What an act on the stream gives; None once nobody reads it."""
        if self.gone:
            return None
        try:
            return act()
        except OSError:
            self.gone = True
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Live:
    """A progress line that fits 80 columns, and a line of its own for every evaluation."""

    detailed = False
    share = 0.0

    def __init__(self, console: Console) -> None:
        self.console = console
        self.interval = Interval(0.1)
        self.seen: dict[str, float] = {}

    def begin(self, plan: Plan) -> None:
        self.plan, self.started = plan, time.monotonic()
        self.console.print(Text(f"{safe(plan.name)} → {safe(plan.folder)}", style="bold"))
        self.console.print(plan.model)
        self.console.print(Text(plan.facts, style="dim"))
        wide = self.console.width >= 110
        self.progress = Progress(
            TextColumn("{task.fields[where]}", markup=False),
            BarColumn(bar_width=None if wide else 8),
            TextColumn("{task.fields[numbers]}", markup=False),
            _Left(),
            console=self.console, auto_refresh=False, expand=wide,
        )  # fmt: skip
        self.task = self.progress.add_task("", total=plan.steps, completed=plan.start, where="starting", numbers="")
        self.progress.start()

    def wants(self, number: int) -> bool:
        return self.interval() or number == self.plan.steps

    def step(self, number_: int, loss: float, rate: float, norm: float | None, norms: Mapping[str, float]) -> None:
        plan, wide = self.plan, self.console.width >= 110
        epochs = -(-plan.steps // plan.per_epoch)
        epoch = min(epochs, (number_ - 1) // plan.per_epoch + 1)
        speed = (number_ - plan.start) * plan.samples / max(1e-9, time.monotonic() - self.started)
        where = f"epoch {epoch}/{epochs} step {number_}/{plan.steps}" if wide else f"{epoch}/{epochs} {number_}"
        watched = ""
        if self.plan.watched in self.seen:
            name = safe(self.plan.watched or "").removeprefix("val.")
            watched = f" {'val' if name == 'loss' else name[:8]} {number(self.seen[self.plan.watched])}"
        parts = (
            [f"loss {number(loss)}{watched}", f"lr {number(rate)}"]
            + ([f"|g| {number(norm)}"] if norm is not None else [])
            + [f"{_thousands(speed)}/s"]
        )
        self.progress.update(self.task, completed=number_, where=where, numbers=("  " if wide else " ").join(parts))
        self.progress.refresh()

    def evaluated(self, number_: int, split: str, values: Mapping[str, Any]) -> None:
        self.seen |= {f"{split}.{name}": value for name, value in values.items() if isinstance(value, float)}
        self.progress.console.print(
            Text(f"  step {number_:>6}  {split:<5} {_values(values)}", style="cyan"),
            overflow="ellipsis",
            no_wrap=True,
        )

    def saved(self, number_: int, path: str, best: bool) -> None:
        pass

    def warn(self, problem: Problem) -> None:
        self.console.print(Text.from_ansi(render(problem, colour=True)), soft_wrap=True)

    def found(self, line: Mapping[str, Any]) -> None:
        style = "bold yellow" if line["event"] == "began" else "green"
        first, *rest = _finding(line)
        self.progress.console.print(Text(first, style=style))
        for text in rest:
            self.progress.console.print(Padding(Text(text, style="dim"), (0, 0, 0, 4)))

    def health(self, lines: Sequence[Mapping[str, Any]], share: float) -> None:
        self.progress.stop()
        self.share = share
        if lines:
            self.console.print(findings_table(lines))

    def end(
        self, state: str, reason: str, results: Mapping[str, Mapping[str, Any]], seconds: float, number_: int
    ) -> None:
        self.progress.refresh()
        self.progress.stop()
        if results:
            self.console.print(results_table(results))
        self.console.print(
            Text(
                f"{state}: {safe(reason)}, {number_} steps in {clock(seconds)}{_watching(self.share)}",
                style="bold" if state == "finished" else "bold yellow",
            )
        )


class _Left(ProgressColumn):
    """The time that is left, as a countdown: `-1:05`."""

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text("" if left is None else f"-{clock(left)}", style="dim", no_wrap=True)


class Lines:
    """Plain lines for logs and pipes: one every few seconds, one for every evaluation; no escape codes."""

    detailed = False
    share = 0.0

    def __init__(self, stream: Any = None, seconds: float = 5.0) -> None:
        self.stream = Lasting(stream or sys.stderr)
        self.interval = Interval(seconds)
        self.console = Console(
            file=cast(IO[str], self.stream), width=100, no_color=True, force_terminal=False, legacy_windows=False
        )

    def begin(self, plan: Plan) -> None:
        self.plan, self.started = plan, time.monotonic()
        self.say(f"{safe(plan.name)} -> {safe(plan.folder)}")
        self.console.print(plan.model)
        self.say(plan.facts)
        self.interval()

    def wants(self, number: int) -> bool:
        return self.interval() or number == self.plan.steps

    def step(self, number_: int, loss: float, rate: float, norm: float | None, norms: Mapping[str, float]) -> None:
        speed = (number_ - self.plan.start) * self.plan.samples / max(1e-9, time.monotonic() - self.started)
        grad = f" grad_norm {number(norm)}" if norm is not None else ""
        self.say(
            f"step {number_}/{self.plan.steps} epoch {(number_ - 1) // self.plan.per_epoch + 1} "
            f"loss {number(loss)} lr {number(rate)}{grad} samples/s {speed:.0f}"
        )

    def evaluated(self, number_: int, split: str, values: Mapping[str, Any]) -> None:
        self.say(f"step {number_} {split} {_values(values)}")

    def saved(self, number_: int, path: str, best: bool) -> None:
        pass

    def warn(self, problem: Problem) -> None:
        self.say(render(problem))

    def found(self, line: Mapping[str, Any]) -> None:
        first, *rest = _finding(line)
        self.say("\n".join([first, *(f"    {text}" for text in rest)]))

    def health(self, lines: Sequence[Mapping[str, Any]], share: float) -> None:
        self.share = share
        if lines:
            self.console.print(findings_table(lines))

    def end(
        self, state: str, reason: str, results: Mapping[str, Mapping[str, Any]], seconds: float, number_: int
    ) -> None:
        for split, values in results.items():
            self.say(f"{split} {_values(values)}")
        self.say(f"{state}: {safe(reason)}, {number_} steps in {clock(seconds)}{_watching(self.share)}")

    def say(self, text: str) -> None:
        """One line, or several."""
        print(text, file=self.stream, flush=True)


class Events(Lines):
    """`--json`: one JSON object a line on stdout, for machines."""

    def __init__(self, stream: Any = None) -> None:
        super().__init__(stream or sys.stdout, seconds=1.0)

    def emit(self, event: str, **fields: Any) -> None:
        self.say(json.dumps(plain({"event": event, **fields}), default=str))

    def begin(self, plan: Plan) -> None:
        self.plan = plan
        self.emit(
            "begin",
            name=plan.name,
            run=plan.folder,
            start=plan.start,
            steps=plan.steps,
            steps_per_epoch=plan.per_epoch,
        )

    def step(self, number_: int, loss: float, rate: float, norm: float | None, norms: Mapping[str, float]) -> None:
        self.emit("step", step=number_, loss=loss, lr=rate, grad_norm=norm)

    def evaluated(self, number_: int, split: str, values: Mapping[str, Any]) -> None:
        self.emit("evaluation", step=number_, split=split, metrics=dict(values))

    def saved(self, number_: int, path: str, best: bool) -> None:
        self.emit("checkpoint", step=number_, path=path, best=best)

    def warn(self, problem: Problem) -> None:
        self.emit("warning", **problem.as_json())

    def found(self, line: Mapping[str, Any]) -> None:
        self.emit("finding", **{("state" if key == "event" else key): line[key] for key in line if key != "kind"})

    def health(self, lines: Sequence[Mapping[str, Any]], share: float) -> None:
        self.share = share

    def end(
        self, state: str, reason: str, results: Mapping[str, Mapping[str, Any]], seconds: float, number_: int
    ) -> None:
        self.emit(
            "end",
            state=state,
            reason=reason,
            step=number_,
            seconds=round(seconds, 3),
            diagnostics=round(self.share, 4),
            results={k: dict(v) for k, v in results.items()},
        )


def _watching(share: float) -> str:
    return f" (diagnostics {100 * share:.1f} %)" if share else ""


def _finding(line: Mapping[str, Any]) -> list[str]:
    """A finding as it is told: one line; where it begins, what to do about it in a second one."""
    where = safe(line["layer"] or line["network"])
    if line["event"] == "ended":
        return [f"✓ {line['name']}  {where}  over at step {line['step']}, began at {line['since']}"]
    told = f"! {line['name']}  {where}  since step {line['since']}: {safe(line['evidence'])}"
    return [told, f"{safe(line['cause'])} → {safe(line['remedy'])}"]


def _values(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {number(value)}" for name, value in values.items() if isinstance(value, (int, float)))


def _thousands(value: float) -> str:
    return f"{value / 1e6:.1f}M" if value >= 1e6 else f"{value / 1e3:.0f}k" if value >= 1e4 else f"{value:.0f}"
