"""The stages of a network as the rows of a page; equal ones that follow one another become one block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gradtrain.flow import Stage, every

SAVES = 4
"""Equal blocks are folded where that leaves out at least so many stages."""
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """A stage on the page."""

    depth: int
    label: str
    """Its name; inside of a container with a dot in front, where it goes on after the container's."""
    pad: int
    """Columns of the labels of its neighbours."""
    stage: Stage
    same: tuple[Stage, ...]
    """The stages that it stands for, in the order of the forward pass: itself, and those that are folded into it."""
    opens: tuple[Stage, ...] = ()
    """Where it is the first row of a folded block: the block's last stage, in every repetition."""
    ends: tuple[str, str] = ("", "")
    """Then also the names of the first and the last stage that are folded."""

    @property
    def left(self) -> str:
        return f"{'  ' * self.depth}{self.label:<{self.pad}}  {self.stage.component}"


def rows(stages: Sequence[Stage], *, back: bool) -> list[Row]:
    """The rows of a network in the order of the forward or the backward pass; containers before what they hold."""
    return list(_rows([stages], "", 0, back))


def _rows(lines: Sequence[Sequence[Stage]], above: str, depth: int, back: bool) -> Iterator[Row]:
    """`lines` are lists of stages that differ in their names alone; the first one is shown."""
    stages = lines[0]
    pad = max((len(below(stage.name, above)) for stage in stages), default=0)
    for start, length, times in _turned(spans(stages), back):
        for number, place in enumerate(_turned(range(length), back)):
            stage = stages[start + place]
            same = _same(lines, start + place, length, times)
            opens = _same(lines, start + length - 1, length, times) if times > 1 and number == 0 else ()
            deeper = depth + (times > 1)
            ends = (stages[start].name, stages[start + length * times - 1].name)
            yield Row(deeper, below(stage.name, above), pad, stage, same, opens, ends)
            yield from _rows([one.inner for one in same], stage.name, deeper + 1, back)


def _turned(items: Sequence[T], back: bool) -> Sequence[T]:
    return items[::-1] if back else items


def _same(lines: Sequence[Sequence[Stage]], first: int, length: int, times: int) -> tuple[Stage, ...]:
    return tuple(line[first + turn * length] for line in lines for turn in range(times))


def spans(stages: Sequence[Stage]) -> list[tuple[int, int, int]]:
    """(start, length, times): equal neighbours together, in the period that leaves out the most."""
    forms: dict[tuple[object, ...], int] = {}
    marks = [forms.setdefault(_form(stage), len(forms)) for stage in stages]
    found: list[tuple[int, int, int]] = []
    start = 0
    while start < len(stages):
        length, times = max(_repeats(marks, start), key=lambda one: (one[0] * (one[1] - 1), -one[0]))
        if (times - 1) * sum(1 for _ in every(stages[start : start + length])) < SAVES:
            length, times = 1, 1
        else:
            best = _begin(stages, marks, start, length, times)
            found += [(place, 1, 1) for place in range(start, best)]
            start = best
        found.append((start, length, times))
        start += length * times
    return found


def _begin(stages: Sequence[Stage], marks: Sequence[int], start: int, length: int, times: int) -> int:
    """Where the blocks of a repetition begin best: within one list of layers, with a stage that has parameters."""
    turns = [t for t in range(start, start + length) if (length, times) in _repeats(marks, t)]

    def seams(turn: int) -> tuple[int, bool]:
        places = {stage.name.rpartition(".")[0] for stage in stages[turn : turn + length]}
        return len(places), not (stages[turn].parameters or stages[turn].inner)

    return min(turns, key=seams)


def _repeats(marks: Sequence[int], start: int) -> Iterator[tuple[int, int]]:
    """(length, times) of every repetition that begins here."""
    for length in range(1, max(1, (len(marks) - start) // 2) + 1):
        first, times = marks[start : start + length], 1
        while marks[start + times * length : start + (times + 1) * length] == first:
            times += 1
        yield length, times


def _form(stage: Stage) -> tuple[object, ...]:
    """What is equal in stages that differ in their names alone."""
    own = tuple((below(p.name, stage.name), p.shape, p.learns) for p in stage.parameters)
    inner = tuple((below(one.name, stage.name), _form(one)) for one in stage.inner)
    return stage.component, stage.input, stage.output, own, inner


def below(name: str, above: str) -> str:
    """A name as it goes on after another: `.weight` after `0`; whole, where it belongs elsewhere."""
    return name.removeprefix(above) if above and name.startswith(f"{above}.") else name
