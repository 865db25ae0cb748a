"""Several runs beside one another: what differs between them, and which are the same but for their seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradtrain.report.page.recorded import Recorded

SEED = "seed"
Number = (int, float)


@dataclass(frozen=True)
class Group:
    """Runs whose configs differ in the seed alone; two at least."""

    runs: tuple[int, ...]
    seeds: tuple[str, ...]
    label: str

    def of(self, values: Sequence[float | None]) -> list[float | None]:
        """Of one value a run, those of the group."""
        return [values[run] for run in self.runs]


def groups(runs: Sequence[Recorded]) -> list[Group]:
    """Every group, in the order of its first run."""
    found: dict[str, list[int]] = {}
    for number, run in enumerate(runs):
        if run.settings:
            same = repr(sorted((key, repr(value)) for key, value in run.settings.items() if key != SEED))
            found.setdefault(same, []).append(number)
    several = [own for own in found.values() if len(own) > 1]
    names = [runs[own[0]].name for own in several]
    return [
        Group(
            tuple(own),
            tuple(str(runs[i].settings.get(SEED, 0)) for i in own),
            f"{name}, {len(own)} seeds" if names.count(name) == 1 else f"{name} like {runs[own[0]].label}",
        )
        for own, name in zip(several, names, strict=True)
    ]


def differences(runs: Sequence[Recorded]) -> list[tuple[str, list[str | None]]]:
    """(setting, its value in every run) where they are not the same; None where a run does not have it."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    rows = [(key, [said(run.settings[key]) if key in run.settings else None for run in runs]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def results(runs: Sequence[Recorded]) -> list[tuple[str, list[float | None]]]:
    """(split and metric, its last value in every run), test first."""
    order = {"test": 0, "val": 1}
    names = {
        (split, metric)
        for run in runs
        for split, values in run.history.results.items()
        for metric, value in values.items()
        if isinstance(value, Number)
    }
    listed = sorted(names, key=lambda name: (order.get(name[0], 2), name[0], name[1] != "loss", name[1]))
    return [
        (f"{split} {metric}", [_number(run.history.results.get(split, {}).get(metric)) for run in runs])
        for split, metric in listed
    ]


def over_seeds(values: Sequence[float | None]) -> str:
    """Mean and sample standard deviation, as `0.9810 ± 0.0031`."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return said(known[0]) if known else "–"
    mean = math.fsum(known) / len(known)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1))
    return f"{mean:.4g} ± {deviation:.2g}"


def said(value: Any) -> str:
    """A setting or a number as text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, Number) and not isinstance(value, bool) else None
