"""The data behind the charts: curves, maps over steps and distributions, as plain lists and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradtrain.problems import safe
from gradtrain.report.page.groups import Group
from gradtrain.report.page.history import Curves, History, Moments
from gradtrain.report.page.recorded import Recorded
from gradtrain.report.page.series import (
    BUCKET,
    COUNT,
    GREATEST,
    LEAST,
    STEPS,
    SUM,
    Series,
    Table,
    common_width,
    rounded,
)

Data = dict[str, Any]
BINS = 48
"""Bins of a distribution over time."""
OUTSIDE = 0.002
"""Share of all values that may lie outside of the bins, at both ends together."""
LOGARITHMIC = 30.0
"""A measure whose values span more than this factor is coloured by its logarithm."""
TITLES = {
    "gradient_flow": "Gradient at the output of each layer",
    "gradient_norm": "Gradient norm of each tensor",
    "update_ratio": "Update over weight",
    "lr": "Learning rate",
    "grad_norm": "Gradient norm, all weights together",
}
FLAT_BELOW = ("accuracy", "f1", "macro_f1", "precision", "recall", "auroc", "r2", "top_k")
"""Metrics that nobody reads on a logarithmic scale."""


@dataclass
class Chart:
    """A chart of curves: one for every run, group of runs, split or term."""

    title: str
    curves: list[tuple[str, str, int, Series]]
    """(key of its line style, name, run, values)."""
    log: bool = True
    """Whether the logarithmic scale is on offer."""


def charts(runs: Sequence[Recorded], groups: Sequence[Group]) -> list[Data]:
    """Every chart of curves, those of the loss first."""
    return [_chart(chart, groups) for chart in _charts(runs) if any(len(curve[3]) for curve in chart.curves)]


def _charts(runs: Sequence[Recorded]) -> Iterator[Chart]:
    histories = [run.history for run in runs]
    loss = [("train", "train", i, h.losses["total"]) for i, h in enumerate(histories) if "total" in h.losses]
    yield Chart("Loss", [*loss, *_measured(histories, "loss")])
    terms = []
    for i, history in enumerate(histories):
        parts = {name: curve for name, curve in history.losses.items() if name != "total"}
        if len(parts) + len(history.penalties) > 1:
            terms += [("term", name, i, curve) for name, curve in (*parts.items(), *history.penalties.items())]
    yield Chart("Terms of the loss", terms)
    names = dict.fromkeys(name for h in histories for curves in h.metrics.values() for name in curves)
    for name in names:
        if name != "loss":
            yield Chart(_title(name), _measured(histories, name), log=not name.startswith(FLAT_BELOW))
    for name in ("lr", "grad_norm"):
        own = [("train", name, i, h.numbers[name]) for i, h in enumerate(histories) if name in h.numbers]
        yield Chart(_title(name), own)
    for name in dict.fromkeys(name for h in histories for name in h.scalars):
        own = [("train", name, i, h.scalars[name]) for i, h in enumerate(histories) if name in h.scalars]
        yield Chart(_title(name), own)


def _measured(histories: Sequence[History], metric: str) -> list[tuple[str, str, int, Series]]:
    return [
        (split, split, i, curves[metric])
        for i, history in enumerate(histories)
        for split, curves in history.metrics.items()
        if metric in curves
    ]


def _chart(chart: Chart, groups: Sequence[Group]) -> Data:
    series = [{"style": style, "name": safe(name), "run": run, **_curve(one)} for style, name, run, one in chart.curves]
    positive = all(value > 0 for one in series for value in one["low"] or one["y"])
    lost = [
        {"run": run, "name": safe(name), "count": one.lost_count, "first": one.lost}
        for _, name, run, one in chart.curves
        if one.lost_count
    ]
    means = []
    for number, group in enumerate(groups):
        for style, name in dict.fromkeys((style, name) for style, name, run, _ in chart.curves if run in group.runs):
            own = [one for s, n, run, one in chart.curves if (s, n) == (style, name) and run in group.runs]
            if any(len(one) for one in own):
                means.append({"style": style, "name": safe(name), "group": number, **_mean(own)})
    return {
        "title": safe(chart.title),
        "series": series,
        "means": means,
        "log": chart.log and positive,
        "lost": lost,
    }


def _curve(series: Series) -> Data:
    """Points as they are; where several share one, their mean, and the least and the greatest of them."""
    table = series.table
    shared = bool((table[:, COUNT] > 1).any())
    return {
        "x": _steps(table),
        "y": _rounded(table[:, SUM] / table[:, COUNT]),
        "low": _rounded(table[:, LEAST]) if shared else None,
        "high": _rounded(table[:, GREATEST]) if shared else None,
        "each": series.width if shared else 1,
        "once": len(table) == 1,
    }


def _mean(many: list[Series]) -> Data:
    """Of several runs: the mean at every step that one of them has, and the least and the greatest of them."""
    width = common_width(many)
    tables = [one.coarse(width) for one in many if len(one)]
    where = sorted({bucket for table in tables for bucket in table[:, BUCKET]})
    values = np.full((len(tables), len(where)), np.nan)
    steps = np.zeros(len(where))
    for row, table in enumerate(tables):
        at = np.searchsorted(where, table[:, BUCKET])
        values[row, at] = table[:, SUM] / table[:, COUNT]
        steps[at] = table[:, STEPS] / table[:, COUNT]
    return {
        "x": [int(step) for step in steps],
        "y": _rounded(np.nanmean(values, axis=0)),
        "low": _rounded(np.nanmin(values, axis=0)),
        "high": _rounded(np.nanmax(values, axis=0)),
        "of": [int(n) for n in np.isfinite(values).sum(axis=0)],
        "once": all(len(table) == 1 for table in tables),
    }


def maps(run: int, history: History) -> list[Data]:
    """What was measured of every tensor or layer: one map over steps for each measure."""
    measures = dict(history.measures)
    if history.norms and "gradient_norm" not in measures:
        measures = {"gradient_norm": history.norms, **measures}
    return [_map(run, name, curves) for name, curves in measures.items() if any(len(one) for one in curves.values())]


def _map(run: int, name: str, curves: Curves) -> Data:
    """Rows in the order of the journal, the networks' own; a cell is the mean of its steps."""
    known = {name: one for name, one in curves.items() if len(one)}
    width = common_width(list(known.values()))
    tables = {name: one.coarse(width) for name, one in known.items()}
    where = sorted({bucket for table in tables.values() for bucket in table[:, BUCKET]})
    steps = np.zeros(len(where))
    rows = []
    for table in tables.values():
        at = np.searchsorted(where, table[:, BUCKET])
        steps[at] = table[:, STEPS] / table[:, COUNT]
        row: list[float | None] = [None] * len(where)
        for column, value in zip(at, table[:, SUM] / table[:, COUNT], strict=True):
            row[column] = rounded(float(value))
        rows.append(row)
    values = [value for row in rows for value in row if value is not None]
    least = min((value for value in values if value > 0), default=0.0)
    lost = sum(one.lost_count for one in curves.values())
    return {
        "run": run,
        "title": safe(_title(name)),
        "names": [safe(name, 200) for name in known],
        "x": [int(step) for step in steps],
        "z": rows,
        "log": min(values) >= 0 and least > 0 and max(values) / least > LOGARITHMIC,
        "lost": lost,
        "joined": width if any((t[:, COUNT] > 1).any() for t in tables.values()) else 1,
    }


def distributions(run: int, history: History) -> list[Data]:
    """Histograms over steps in common bins: share of a layer's or a tensor's values in each."""
    return [
        {"run": run, "kind": kind, "name": safe(name, 200), **_over_time(moments)}
        for kind, known in history.distributions.items()
        for name, moments in known.items()
        if moments.kept
    ]


def _over_time(moments: Moments) -> Data:
    low, high = _range(moments)
    bins = np.linspace(low, high, BINS + 1)
    columns = []
    for _, edges, counts in moments.kept:
        mass = np.concatenate([[0.0], np.cumsum(counts, dtype=float)])
        whole = mass[-1] or 1.0
        inside = np.interp(bins, np.array(edges, dtype=float), mass / whole)
        inside[0], inside[-1] = 0.0, 1.0 if mass[-1] else 0.0
        columns.append([rounded(max(0.0, float(share))) for share in np.diff(inside)])
    return {
        "x": [step for step, _, _ in moments.kept],
        "edges": [rounded(float(edge)) for edge in bins],
        "z": [list(row) for row in zip(*columns, strict=True)],
        "stride": moments.stride,
    }


def _range(moments: Moments) -> tuple[float, float]:
    """The least range that leaves out at most `OUTSIDE` of the values of every moment together."""
    lows, highs = [], []
    for _, edges, counts in moments.kept:
        mass = np.cumsum(counts, dtype=float)
        if mass[-1]:
            share = np.concatenate([[0.0], mass / mass[-1]])
            lows.append(edges[max(0, int(np.searchsorted(share, OUTSIDE / 2, side="right")) - 1)])
            highs.append(edges[min(len(edges) - 1, int(np.searchsorted(share, 1 - OUTSIDE / 2)))])
    if not lows:
        return 0.0, 1.0
    low, high = float(min(lows)), float(max(highs))
    pad = math.ulp(max(abs(low), abs(high))) * BINS or 1e-300
    return (low, high) if high > low else (low - pad, high + pad)


def _title(name: str) -> str:
    return TITLES.get(name) or (name[:1].upper() + name[1:]).replace("_", " ")


def _steps(table: Table) -> list[int]:
    return [int(step) for step in table[:, STEPS] / table[:, COUNT]]


def _rounded(values: Any) -> list[float | None]:
    return [rounded(float(value)) for value in values]
