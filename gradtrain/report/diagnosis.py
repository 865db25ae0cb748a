"""The check-up before a run as a page of text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from rich.text import Text

from gradtrain.diagnostics.checkup import Cost, Diagnosis, Sweep
from gradtrain.problems import amount, safe
from gradtrain.report.charts import drawn
from gradtrain.report.display import clock, number

BAR = 24
"""Columns of a whole step."""
EIGHTHS = " ▏▎▍▌▋▊▉█"


def page(found: Diagnosis, width: int, charts: bool) -> Iterator[Text]:
    """The page, at most `width` columns wide; `charts` says whether plotext is there to draw the range test."""
    width = min(100, max(50, width))
    yield _heading(f"{found.flow.name}: the first step")
    told = f"loss {number(found.total)}"
    if found.uniform is not None:
        told += f", {number(found.uniform)} when every class is as likely: "
        told += (
            "as it should begin" if found.total < 1.5 * found.uniform else "far above, the first outputs are too large"
        )
    yield from _lines(told, width)
    for update in found.gradients:
        name = f"{update.update}: " if len(found.gradients) > 1 else ""
        yield from _lines(f"{name}{update.says}", width)
    yield Text("")
    yield from _cost(found.cost, width)
    yield Text("")
    yield from _sweep(found.sweep, width, charts)
    yield Text("")
    yield _heading(f"{found.watched:,} {'step' if found.watched == 1 else 'steps'} at the run's own rates")
    if not found.findings:
        yield from _lines("nothing looks wrong", width)
    for line in found.findings:
        where = " at " + safe(line["layer"] or line["network"]) if line["layer"] or line["network"] else ""
        yield Text(f"! {line['name']}{where}, since step {line['since']}", style="bold yellow")
        for part in ("evidence", "cause", "remedy"):
            yield from _lines(f"{part:<9} {safe(line[part])}", width, "            ")


def _heading(text: str) -> Text:
    return Text(safe(text), style="bold")


def _lines(text: str, width: int, further: str = "  ") -> Iterator[Text]:
    for line in textwrap.wrap(text, width, initial_indent="  ", subsequent_indent=further, break_on_hyphens=False):
        yield Text(line)


def _cost(cost: Cost, width: int) -> Iterator[Text]:
    yield _heading("time and memory")
    if not math.isfinite(cost.step):
        yield Text("  no step could be timed")
        return
    yield Text(f"  a step takes {_short(cost.step)}, {number(cost.samples)} samples/s")
    for part, share in cost.shares.items():
        yield Text(f"    {part:<15}{share:>4.0%}  {_bar(share)}")
    rest = max(0.0, 1 - sum(cost.shares.values()))
    yield Text(f"    {'the loop itself':<15}{rest:>4.0%}  {_bar(rest)}")
    whole = clock(cost.training + cost.evaluating)
    share = cost.evaluating / (cost.training + cost.evaluating)
    yield Text(f"  the whole run: about {whole} for {cost.steps:,} steps, {share:.0%} of it evaluation")
    memory = (("weights", cost.weights), ("optimizer", cost.optimizer), ("kept for backward", cost.graph))
    told = ", ".join(f"{what} {amount(size)}" for what, size in memory)
    yield from _lines(f"memory: {told}, peak {amount(cost.peak)}", width, "    ")


def _sweep(sweep: Sweep, width: int, charts: bool) -> Iterator[Text]:
    yield _heading("learning-rate range test")
    if charts and len(sweep.rates) > 1:
        along = [math.log10(rate) for rate in sweep.rates]
        for line in drawn("loss by log10 of the rate", along, list(sweep.losses), min(60, width - 4)):
            yield Text(f"  {line}".rstrip(), no_wrap=True, overflow="crop")
    marks = [("falls fastest at", sweep.steepest), ("diverges at", sweep.diverges)]
    told = ", ".join(f"{what} {rate:.2g}" for what, rate in marks if rate is not None)
    if told:
        yield from _lines(f"the loss {told}", width)
    yield from _lines(sweep.says, width)


def _bar(share: float) -> str:
    whole, rest = divmod(round(share * BAR * 8), 8)
    return (EIGHTHS[8] * whole + EIGHTHS[rest]).rstrip()


def _short(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
