"""The flow of differentiation as a page of text: down to the loss, back to the first stage, and what moves the weights.

The page says the same without colour. Equal stages that follow one another are shown once.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text

from gradtrain.flow import Flow, Network, Reached, Term, Weight, every
from gradtrain.gradients import Backward, Size
from gradtrain.problems import safe
from gradtrain.report.rows import Row, below, rows
from gradtrain.report.tables import shown

BESIDE = 40
"""Columns that a formula needs to stand beside its stage; with less room it stands below."""
PROFILE = 12
"""Rows of a profile over folded blocks."""
NUMBER = 7
"""Columns of a number, as `1.2e-03`."""
LEGEND = (
    "g: RMS of the gradient that arrives at the output of a stage (█) or belongs to a tensor (▒), on a log scale; "
    "a → b: of folded stages, from the last to the first; |g|, |w|: lengths, the roots of sums of squares"
)


class Page:
    """The page, at most `width` columns wide where names leave room for that."""

    def __init__(self, flow: Flow, measured: Sequence[Backward], width: int) -> None:
        self.flow, self.measured, self.width = flow, measured, max(50, width)
        everything = [row for network in flow.networks for row in rows(network.stages, back=False)]
        self.terms: list[tuple[str, Term]] = [
            (f"{term.kind:<{self._kinds()}}  {_weighted(term.weight, term.name)}", term) for term in flow.terms
        ]
        lefts = [row.left for row in everything] + [left for left, _ in self.terms] + [fed.name for fed in flow.data]
        if measured:
            lefts += [_tensor(row, p.name, p.shape) for row in everything for p in row.stage.parameters]
        self.left = max(map(len, lefts))
        shapes = [row.stage.output or () for row in everything] + [fed.output or () for fed in flow.data]
        self.shape = max(len(shown(shape)) for shape in shapes)

    def _kinds(self) -> int:
        return max((len(term.kind) for term in self.flow.terms), default=0)

    def lines(self) -> Iterator[Text]:
        yield from self.forward()
        if self.measured:
            said: set[str] = set()
            for update in self.measured:
                yield from _Measured(self, update, said).lines()
        else:
            yield from self.backward()
        yield from self.weights()

    def forward(self) -> Iterator[Text]:
        yield _heading(f"{self.flow.name}: forward, from a batch to the loss ↓")
        spoken = {size.name: size.activation for update in reversed(self.measured) for size in update.sizes}
        columns = [self.shape, NUMBER] if self.measured else [self.shape]
        if self.measured:
            yield self.head("", ["shape", "RMS"], columns)
        for fed in self.flow.data:
            cells = ["" if fed.output is None else shown(fed.output), ""]
            yield from self.row(fed.name, cells, columns, fed.value)
        for network in self.flow.networks:
            yield self.border(network)
            for row in rows(network.stages, back=False):
                if row.opens:
                    yield self.fold(row)
                stage, told = row.stage, [spoken[s.name] for s in row.same if s.name in spoken]
                cells = [shown(stage.output) if stage.output is not None else "", f"{told[0]:.3g}" if told else ""]
                yield from self.row(row.left, cells, columns, stage.value)
        yield Text("")
        for left, term in self.terms:
            yield from self.row(left, ["scalar" if self.shape > 5 else "1", ""], columns, term.value)

    def backward(self) -> Iterator[Text]:
        yield _heading(f"{self.flow.name}: backward, from the loss to the first stage ↑")
        yield from _hanging(
            " ",
            "g is the gradient that arrives at the output of a stage, in its shape; dx is what it hands on to the "
            "stage before; → are the parameters that it reaches.",
            self.width,
        )
        yield Text("")
        for left, term in reversed(self.terms):
            yield from self.row(left, ["1"], [self.shape], term.gradient)
        for network in reversed(self.flow.networks):
            yield self.border(network)
            for row in rows(network.stages, back=True):
                if row.opens:
                    yield self.fold(row)
                stage = row.stage
                yield from self.row(
                    row.left, [shown(stage.output) if stage.output is not None else ""], [self.shape], stage.gradient,
                    "" if not stage.parameters else "→ " + ", ".join(_reached(p) for p in stage.parameters),
                )  # fmt: skip

    def weights(self) -> Iterator[Text]:
        yield _heading("update: what moves the weights, and who pulls")
        for rule in self.flow.rules:
            yield from _hanging(" ", rule, self.width, deeper=2)
        groups: dict[tuple[object, ...], list[Weight]] = {}
        for weight in self.flow.parameters:
            groups.setdefault((weight.lr, weight.decay, weight.penalties, weight.start), []).append(weight)
        for own in groups.values():
            one = own[0]
            penalties = ", ".join(one.penalties) or "none"
            head = f"lr {one.lr:g} · decay {one.decay} · penalties {penalties} · starts as {one.start}"
            yield Text("")
            yield from _hanging(" ", f"{head} · {sum(w.count for w in own):,} weights:", self.width, deeper=2)
            yield from _hanging("   ", ", ".join(_together(own, len(self.flow.networks) > 1)), self.width)
        count = sum(weight.count for weight in self.flow.parameters)
        yield Text(f"\n{count:,} weights in {len(self.flow.parameters)} tensors")

    def border(self, network: Network, more: str = "") -> Text:
        if len(self.flow.networks) == 1:
            return Text("")
        return Text(f"\n {safe(network.role)} reads {shown(network.input)}{more}", style="underline")

    def fold(self, row: Row) -> Text:
        first, last = row.ends
        return Text(f" {'  ' * (row.depth - 1)}× {len(row.opens)}, shown once: {first} … {last}", style="italic")

    def head(self, left: str, cells: Sequence[str], columns: Sequence[int]) -> Text:
        return Text(self.cells(left, cells, columns).rstrip(), style="dim")

    def cells(self, left: str, cells: Sequence[str], columns: Sequence[int]) -> str:
        text = "".join(f"  {cell:<{size}}" for cell, size in zip(cells, columns, strict=False))
        return f" {safe(left, 500):<{self.left}}{text}"

    def row(
        self, left: str, cells: Sequence[str], columns: Sequence[int], text: str, further: str = ""
    ) -> Iterator[Text]:
        """Cells, and a text beside them or below; `further` begins a line of its own under the text."""
        head = self.cells(left, cells, columns)
        room = self.width - len(head) - 2
        texts = [one for one in (text, further) if one]
        if room >= BESIDE and texts:
            for number, one in enumerate(texts):
                begin = f"{head}  " if number == 0 else " " * (len(head) + 2)
                yield from _hanging(begin, one, self.width, bold=len(left) + 1 if number == 0 else 0)
            return
        line = Text(head.rstrip())
        line.stylize("bold", 0, len(left) + 1)
        yield line
        indent = " " * (len(left) - len(left.lstrip()) + 5)
        for one in texts:
            yield from _hanging(indent, one, self.width)


class _Measured:
    """The backward pass of one update with its numbers; what an update before has said is not said again."""

    def __init__(self, page: Page, update: Backward, said: set[str]) -> None:
        self.page, self.update, self.said = page, update, said
        self.sizes = {size.name: size for size in update.sizes}
        self.pulls = {pull.name: pull for size in update.sizes for pull in size.parameters}
        numbers = [size.gradient for size in self.sizes.values()]
        numbers += [pull.gradient for pull in self.pulls.values()]
        exponents = [math.log10(n) for n in numbers if n is not None and n > 0 and math.isfinite(n)]
        self.high = math.ceil(max(exponents, default=0.0))
        self.low = min(math.floor(min(exponents, default=0.0)), self.high - 3)
        self.bar = 16 if page.width < 110 else 24
        self.columns = [NUMBER, self.bar, NUMBER]
        self.wide = [NUMBER + 2 + self.bar, NUMBER]

    def lines(self) -> Iterator[Text]:
        page, update = self.page, self.update
        what = f"the update of `{update.update}`" if len(page.measured) > 1 else "from the loss to the first stage"
        yield _heading(f"{page.flow.name}: backward, {what} ↑")
        told = [f"{name} {value:.4g}" for name, value in (*update.losses.items(), *update.penalties.items())]
        begin = f"one batch of {update.samples}, {update.dtype}, seed {page.flow.seed}: total {update.total:.4g}"
        yield from _hanging(" ", f"{begin}; {', '.join(told)}", page.width, deeper=2)
        if not self.said:
            yield from _hanging(" ", LEGEND, page.width)
        yield Text("")
        low, high = f"1e{self.low}", f"1e{self.high}"
        yield page.head("", ["g", f"{low}{high:>{self.bar - len(low)}}", "|g|/|w|"], self.columns)
        for left, term in reversed(page.terms):
            if self.first(left):
                yield from page.row(left, ["", "", ""], self.columns, term.gradient)
        for network in reversed(page.flow.networks):
            own = list(every(network.stages))
            if any(stage.name in self.sizes for stage in own):
                rests = not any(p.name in self.pulls for stage in own for p in stage.parameters)
                yield page.border(network, ", its weights rest" if rests else "")
                for row in rows(network.stages, back=True):
                    yield from self.row(row, rests)
        yield Text("")
        colour = {"vanishes": "bold red", "explodes": "bold red", "nonfinite": "bold red", "stops": "bold yellow"}
        for line in textwrap.wrap(safe(update.says, 2000), page.width - 1, break_on_hyphens=False):
            yield Text(f" {line}", style=colour.get(update.verdict, "bold"))

    def first(self, what: str) -> bool:
        """Whether it has not been said yet."""
        new = what not in self.said
        self.said.add(what)
        return new

    def row(self, row: Row, rests: bool) -> Iterator[Text]:
        page = self.page
        if row.opens:
            yield page.fold(row)
            yield from self.profile(row)
        text = row.stage.gradient if self.first(row.stage.name) else ""
        cells = self.told([self.sizes.get(one.name) for one in row.same])
        yield from page.row(row.left, cells, self.columns if len(cells) == 3 else self.wide, text)
        for number, reached in enumerate(() if rests else row.stage.parameters):
            left = _tensor(row, reached.name, reached.shape)
            pulls = [self.pulls.get(stage.parameters[number].name) for stage in row.same]
            gradients = [None if pull is None else pull.gradient for pull in pulls]
            ratios = [None if pull is None else pull.ratio for pull in pulls]
            if all(pull is None for pull in pulls):
                yield Text(page.cells(left, ["rests"], self.columns).rstrip())
            elif len(pulls) == 1:
                cells = [_span(gradients, "none"), self.drawn(gradients[0], "▒"), _span(ratios)]
                yield Text(page.cells(left, cells, self.columns).rstrip())
            else:
                yield Text(page.cells(left, [_span(gradients, "none"), _span(ratios)], self.wide).rstrip())

    def told(self, sizes: Sequence[Size | None]) -> list[str]:
        """The cells of a stage: number, bar, nothing; of several only the first and the last number, and nothing."""
        gradients = [None if size is None else size.gradient for size in sizes]
        heard = [size for size in sizes if size is not None]
        if not heard or gradients == [None] * len(sizes):
            return ["none" if any(size.expected for size in heard) else "-" if heard else "", "", ""]
        if len(sizes) > 1:
            return [_span(gradients, "none"), ""]
        return [_span(gradients), self.drawn(gradients[0], "█"), ""]

    def profile(self, row: Row) -> Iterator[Text]:
        """The gradient at the output of every block that is folded, from the last to the first."""
        ends = row.opens[::-1]
        if len(ends) > PROFILE:
            ends = tuple(ends[round(i * (len(ends) - 1) / (PROFILE - 1))] for i in range(PROFILE))
        for stage in ends:
            size = self.sizes.get(stage.name)
            yield Text(self.page.cells(f"{'  ' * row.depth}{stage.name}", self.told([size]), self.columns).rstrip())

    def drawn(self, value: float | None, mark: str) -> str:
        """A bar on the log scale; at least one mark for what is not 0."""
        if value is None or value == 0 or math.isnan(value):
            return ""
        if math.isinf(value):
            return mark * self.bar
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return mark * max(1, min(self.bar, round(share * self.bar)))


def _tensor(row: Row, name: str, shape: Sequence[int]) -> str:
    """A parameter below its stage."""
    return f"{'  ' * row.depth}  {below(name, row.stage.name)} {shown(shape)}"


def _reached(parameter: Reached) -> str:
    more = " (shared)" if parameter.shared else "" if parameter.learns else " (frozen)"
    return f"{parameter.name} {shown(parameter.shape)}{more}"


def _weighted(weight: float, name: str) -> str:
    return name if weight == 1 else f"{weight:g} × {name}"


def _span(values: Sequence[float | None], nothing: str = "") -> str:
    """A number, or of several the last and the first."""
    if not values:
        return nothing
    ends = [nothing if value is None else "0" if value == 0 else f"{value:.1e}" for value in (values[-1], values[0])]
    return ends[0] if len(values) == 1 else " → ".join(ends)


def _together(weights: Sequence[Weight], several: bool) -> Iterator[str]:
    """Names and shapes; tensors of repeated blocks as one pattern, `blocks.*.norm.weight 384 × 6`."""
    groups: dict[tuple[object, ...], list[Weight]] = {}
    for weight in weights:
        parts = weight.name.split(".")
        first = 2 if several else 1  # the place in the network's own list is no repetition
        key = tuple("*" if part.isdigit() and i >= first else part for i, part in enumerate(parts))
        groups.setdefault((key, weight.shape), []).append(weight)
    for own in groups.values():
        places = zip(*(weight.name.split(".") for weight in own), strict=True)
        pattern = ".".join("*" if len(set(place)) > 1 else place[0] for place in places)
        yield f"{pattern} {shown(own[0].shape)}{f' × {len(own)}' if len(own) > 1 else ''}"


def _heading(text: str) -> Text:
    return Text(f"\n{safe(text)}\n", style="bold")


def _hanging(head: str, text: str, width: int, bold: int = 0, deeper: int = 0) -> Iterator[Text]:
    """Text whose lines begin below one another, after a head on the first of them."""
    room = max(20, width - len(head) - deeper)
    for number, line in enumerate(
        textwrap.wrap(safe(text, 10**6), room, break_long_words=False, break_on_hyphens=False)
    ):
        written = Text((head if number == 0 else " " * (len(head) + deeper)) + line)
        if number == 0 and bold:
            written.stylize("bold", 0, bold)
        yield written


def page(flow: Flow, measured: Sequence[Backward], width: int) -> Iterator[Text]:
    """The whole page, line by line."""
    return Page(flow, measured, width).lines()
