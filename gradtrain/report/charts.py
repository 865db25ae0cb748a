"""`--live`: small charts of loss, learning rate and gradient below the progress line."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, cast

from rich.console import Console, RenderableType
from rich.progress import Progress
from rich.text import Text

from gradtrain.problems import Problem
from gradtrain.report.display import Display, Events, Interval, Lasting, Lines, Live, Plan

MOST = 400
"""Points of a curve: more than a terminal has columns to show."""
HEIGHT = 10
WIDEST = 60
DECADES = 2.0
"""Where a curve spans more, its logarithm is drawn."""


class Curve:
    """The points of a curve in the order in which they come; when there are too many, every second one goes."""

    def __init__(self) -> None:
        self.x: list[float] = []
        self.y: list[float] = []
        self.stride, self.skipped = 1, 0

    def add(self, x: float, y: float) -> None:
        """Remember a point, unless it has no place on paper."""
        self.skipped += 1
        if self.skipped < self.stride or not math.isfinite(y):
            return
        self.skipped = 0
        self.x.append(x)
        self.y.append(y)
        if len(self.x) > MOST:
            self.x, self.y, self.stride = self.x[::2], self.y[::2], self.stride * 2


class Charts(Live):
    """The progress line with three charts below it, each a third of the width. Raises `Problem` without plotext."""

    detailed = True

    def __init__(self, console: Console) -> None:
        if importlib.util.find_spec("plotext") is None:
            raise Problem(
                "extra-missing",
                "`--live` needs plotext",
                why="it draws the charts",
                help="pip install 'gradtrain[plot]'",
            )
        super().__init__(console)
        self.interval = Interval(1.0)  # a chart takes about ten milliseconds
        self.loss, self.rate = Curve(), Curve()
        self.layers: dict[str, float] = {}

    def begin(self, plan: Plan) -> None:
        super().begin(plan)
        self.progress.get_renderables = self.page  # type: ignore[method-assign]

    def step(self, number: int, loss: float, rate: float, norm: float | None, norms: Mapping[str, float]) -> None:
        self.loss.add(number, loss)
        self.rate.add(number, rate)
        self.layers = by_layer(norms)
        super().step(number, loss, rate, norm, norms)

    def page(self) -> Iterator[RenderableType]:
        """The progress line and what is drawn below it."""
        yield from Progress.get_renderables(self.progress)
        if not self.loss.x or self.console.height < HEIGHT + 4:
            return
        width = min(WIDEST, (self.console.width - 2) // 3)
        depth = list(range(1, len(self.layers) + 1))
        charts = [
            drawn("loss", self.loss.x, self.loss.y, width),
            drawn("learning rate", self.rate.x, self.rate.y, width, decades=math.inf),
            drawn("|g| by layer", depth, list(self.layers.values()), width),
        ]
        rows = [" ".join(line).rstrip() for line in zip(*charts, strict=True)]
        yield Text("\n".join(rows), no_wrap=True, overflow="crop")


def by_layer(norms: Mapping[str, float]) -> dict[str, float]:
    """The gradient's norm of every layer from those of its tensors."""
    found: dict[str, float] = {}
    for name, norm in norms.items():
        layer = name.rpartition(".")[0]
        found[layer] = math.hypot(found.get(layer, 0.0), norm)
    return found


def drawn(
    title: str, x: Sequence[float], y: Sequence[float], width: int, height: int = HEIGHT, decades: float = DECADES
) -> list[str]:
    """A curve as `height` lines of `width` columns; by its logarithm where it spans more than so many decades."""
    import plotext  # type: ignore[import-untyped]

    points = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b)]
    positive = [b for _, b in points if b > 0]
    if points and len(positive) >= 0.9 * len(points) and math.log10(max(positive) / min(positive)) > decades:
        title, points = f"log10 {title}", [(a, math.log10(b)) for a, b in points if b > 0]
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, height)
    figure.title(title[:width])
    if points:
        along, values = [list(column) for column in zip(*points, strict=True)]
        signal = figure.signal(along, values, marker="braille")
        if len(points) > 1:
            signal.lines()
        figure.draw(signal)
        if min(values) == max(values):  # where nothing changes, plotext has an axis from -1 to 1
            around = abs(values[0]) or 1.0
            figure.ruler("y").lim(values[0] - around, values[0] + around)
        ends = sorted({along[0], along[-1]})
        figure.ruler("x").ticks(ends, [f"{end:.0f}" if end == int(end) else f"{end:.3g}" for end in ends])
    lines = str(plotext.uncolorize(str(figure.build()))).rstrip("\n").split("\n")
    return [line[:width].ljust(width) for line in (lines + [""] * height)[:height]]


def display(as_json: bool = False, charts: bool = False) -> Display:
    """The display for this process's streams. Progress goes to stderr, so that stdout stays the command's answer.

    `charts` adds them on a terminal, and changes nothing elsewhere.
    """
    if as_json:
        return Events()
    console = Console(file=cast(IO[str], Lasting(sys.stderr)))
    if not console.is_terminal or console.is_dumb_terminal:
        return Lines()
    return Charts(console) if charts else Live(console)
