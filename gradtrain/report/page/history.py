"""What a journal says, gathered in one pass and in bounded memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradtrain.problems import Problem
from gradtrain.report.page.series import Series
from gradtrain.storage.journal import Line, read

FURTHEST = 10**15
"""No run has a step beyond it."""
COLUMNS = 240
"""Points in time of a map over steps."""
MOMENTS = 128
"""Distributions of one layer that are kept."""
FINEST = 4096
"""Bins of a histogram."""
LARGEST = 1e300
"""A value beyond it is no measure, and the differences of two could not be written."""
UNSHOWN = ("nonfinite", "spike", "overflow")
"""Lines that are no curve: the journal's own."""
NAMES = 300
"""Tensors, layers, losses or metrics of one kind beyond which the rest is left out."""


@dataclass
class Finding:
    """Something that the diagnostics found, from when it began to when it ended."""

    name: str
    network: str
    layer: str
    began: int
    ended: int | None
    evidence: str
    cause: str
    remedy: str


@dataclass
class Moments:
    """Histograms of one layer or tensor over the steps: every `stride`-th of those that were written."""

    stride: int = 1
    seen: int = 0
    kept: list[tuple[int, list[float], list[float]]] = field(default_factory=list)
    """(step, edges, counts)."""

    def add(self, step: int, histogram: Any) -> bool:
        """Whether it was a histogram: n counts between n + 1 ascending edges."""
        said = histogram if isinstance(histogram, dict) else {}
        edges, counts = _numbers(said.get("edges")), _numbers(said.get("counts"))
        if not 0 < len(counts) == len(edges) - 1 < FINEST or min(counts) < 0:
            return False
        if any(low > high for low, high in itertools.pairwise(edges)):
            return False
        if self.seen % self.stride == 0:
            self.kept.append((step, edges, counts))
        self.seen += 1
        if len(self.kept) > MOMENTS:
            self.kept, self.stride = self.kept[::2], self.stride * 2
        return True


Curves = dict[str, Series]


class History:
    """The lines of a journal by what they say."""

    def __init__(self) -> None:
        self.lines = 0
        self.strange = 0
        """Lines, or parts of lines, that say nothing the page understands."""
        self.step = 0
        self.epoch: int | None = None
        self.seconds: float | None = None
        self.damage = ""
        """Why the journal was not read to its end."""
        self.losses: Curves = {}
        self.penalties: Curves = {}
        self.numbers: Curves = {}
        """`lr` and `grad_norm`."""
        self.metrics: dict[str, Curves] = {}
        """Split → metric → values over steps."""
        self.results: dict[str, dict[str, Any]] = {}
        """Split → metric → the last value, whatever it is."""
        self.measured_at: dict[str, int] = {}
        """Split → the step whose weights were measured last."""
        self.measures: dict[str, Curves] = {}
        """What was measured of every tensor or layer."""
        self.scalars: Curves = {}
        """What was measured of the whole."""
        self.norms: Curves = {}
        """Gradient norms as lines about steps have them."""
        self.findings: list[Finding] = []
        self.distributions: dict[str, dict[str, Moments]] = {"activations": {}, "gradients": {}}
        self.left_out = 0
        """Names beyond `NAMES`."""

    @classmethod
    def of(cls, path: Path) -> History:
        """The history in a journal; what cannot be read is said in `damage` and never refused."""
        history = cls()
        kinds = {
            "step": history._step,
            "evaluation": history._evaluation,
            "health": history._health,
            "finding": history._finding,
            "distributions": history._distributions,
        }
        try:
            for line in read(path):
                history.lines += 1
                step, kind = line.get("step"), line.get("kind")
                if kind in UNSHOWN:
                    continue
                understood = kinds.get(kind) if isinstance(kind, str) else None
                if understood is None or type(step) is not int or not 0 <= step < FURTHEST:
                    history.strange += 1
                    continue
                history.step = max(history.step, step)
                understood(step, line)
        except Problem as problem:
            history.damage = f"{problem.what}: what stands behind it is left out"
        return history

    def _step(self, step: int, line: Line) -> None:
        self._into(self.losses, step, line.get("loss"))
        self._into(self.penalties, step, line.get("penalty"))
        for name in ("lr", "grad_norm"):
            if name in line:
                self._curve(self.numbers, name).add(step, line[name])
        if "grad_norms" in line:
            self._into(self.norms, step, line["grad_norms"], COLUMNS)
        if type(epoch := line.get("epoch")) is int:
            self.epoch = epoch
        if isinstance(seconds := line.get("seconds"), (int, float)):
            self.seconds = float(seconds)

    def _evaluation(self, step: int, line: Line) -> None:
        split, values = line.get("split"), line.get("metrics")
        if not isinstance(split, str) or not isinstance(values, dict) or len(self.metrics) > NAMES:
            self.strange += 1
            return
        at = line.get("weights", step)
        at = at if type(at) is int and 0 <= at < FURTHEST else step
        self._into(self.metrics.setdefault(split, {}), at, values)
        self.results.setdefault(split, {}).update(values)
        self.measured_at[split] = at

    def _health(self, step: int, line: Line) -> None:
        measures = line.get("measures")
        if not isinstance(measures, dict):
            self.strange += 1
            return
        for name, value in measures.items():
            if not isinstance(value, dict):
                self._curve(self.scalars, name).add(step, value)
            elif name in self.measures or len(self.measures) < NAMES:
                self._into(self.measures.setdefault(name, {}), step, value, COLUMNS)

    def _finding(self, step: int, line: Line) -> None:
        name, network, layer = (_text(line.get(key)) for key in ("name", "network", "layer"))
        open_ = (f for f in self.findings if (f.name, f.network, f.layer, f.ended) == (name, network, layer, None))
        known = next(open_, None)
        if line.get("event") == "ended":
            if known is not None:
                known.ended = step
            return
        since = line.get("since")
        began = since if type(since) is int and 0 <= since < FURTHEST else step
        said = [_text(line.get(key)) for key in ("evidence", "cause", "remedy")]
        if known is None and len(self.findings) < NAMES:
            self.findings.append(Finding(name, network, layer, began, None, *said))

    def _distributions(self, step: int, line: Line) -> None:
        for kind, known in self.distributions.items():
            found = line.get(kind)
            for name, histogram in found.items() if isinstance(found, dict) else ():
                if name not in known and len(known) >= NAMES:
                    self.left_out += 1
                elif not known.setdefault(name, Moments()).add(step, histogram):
                    self.strange += 1

    def _into(self, curves: Curves, step: int, values: Any, limit: int = 1000) -> None:
        if not isinstance(values, dict):
            self.strange += values is not None
            return
        for name, value in values.items():
            series = curves.get(name)
            if series is None:
                if len(curves) >= NAMES:
                    self.left_out += 1
                    continue
                series = curves[name] = Series(limit)
            series.add(step, value)

    def _curve(self, curves: Curves, name: str) -> Series:
        if name not in curves and len(curves) >= NAMES:
            self.left_out += 1
            return Series()
        return curves.setdefault(name, Series())


def _numbers(values: Any) -> list[float]:
    """A list of finite numbers; an empty one for everything else."""
    sound = isinstance(values, list) and all(type(value) in (int, float) and abs(value) <= LARGEST for value in values)
    return values if sound else []


def _text(value: Any) -> str:
    """Evidence is a sentence, or numbers by their names."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
