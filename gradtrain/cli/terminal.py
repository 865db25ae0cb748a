"""Results on stdout: text, tables and JSON, for a terminal or a pipe, with escape codes only on a terminal."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from gradtrain.cli.failure import colour
from gradtrain.problems import safe


def width() -> int:
    """Columns to write in: the terminal's, 100 in a pipe, or what COLUMNS says."""
    return shutil.get_terminal_size((100, 24)).columns


def print_text(text: str) -> None:
    """Text that may hold strings from outside."""
    print(safe(text, 10**7))


def print_json(value: Any) -> None:
    """One JSON value, readable and in ASCII: a pipe may have any encoding."""
    print(json.dumps(value, indent=1, allow_nan=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: folded to the terminal's width, one line a row in a pipe."""
    if not rows:
        return
    if not sys.stdout.isatty():
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        for row in [head, *rows]:
            print_text("  ".join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True)).rstrip())
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    plain = not colour(sys.stdout)
    Console(force_terminal=not plain, no_color=plain, color_system=None if plain else "auto", width=width()).print(table)
