"""Results on stdout: text, tables and JSON; escape codes only on a terminal."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradtrain.cli.failure import colour
from gradtrain.problems import one_line, safe

if TYPE_CHECKING:
    from rich.console import Console


ROOM = 60
"""Columns that a table with folded cells needs at least."""


def width() -> int:
    """Columns to write in: the terminal's, 100 in a pipe, or what COLUMNS says."""
    return shutil.get_terminal_size((100, 24)).columns


def print_text(text: str) -> None:
    """Text that may hold strings from outside; on a terminal its long lines are folded between words."""
    text = safe(text, 10**7)
    if sys.stdout is not None and sys.stdout.isatty():
        text = "\n".join(_folded(line) for line in text.split("\n"))
    print(text)


def _folded(line: str) -> str:
    """A line in the terminal's width, its further parts two columns deeper than its first."""
    if len(line) <= width():
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, width(), subsequent_indent=indent, break_on_hyphens=False)


def print_json(value: Any) -> None:
    """One JSON value, readable and in ASCII: a pipe may have any encoding; what is not finite as in a journal."""
    from gradtrain.storage.journal import plain

    print(json.dumps(plain(value), indent=1, allow_nan=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: folded to the terminal's width; one line a row in a pipe and where a table has no room."""
    if not rows:
        return
    rows = [[one_line(cell) for cell in row] for row in rows]
    if sys.stdout is None or not sys.stdout.isatty() or width() < ROOM:
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        for row in [head, *rows]:
            print_text("  ".join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True)).rstrip())
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    console().print(table)


def console() -> Console:
    """rich on stdout, without escape codes where they are not wanted."""
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise  # as any other write does; rich's own would end the process with 1, which says that a check failed

    wanted = colour(sys.stdout)
    return Ours(force_terminal=wanted, no_color=not wanted, color_system="auto" if wanted else None, width=width())


def progress(text: str) -> None:
    """One line on stderr that the next one overwrites; nothing off a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r{safe(text)[: width() - 1]:<{min(60, width() - 1)}}", end="\r", file=sys.stderr, flush=True)
