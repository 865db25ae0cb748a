"""Tables of a run: the model before, the results after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from gradtrain.problems import safe


def shown(shape: Sequence[int]) -> str:
    """A shape without the batch axis: `1×8×8`."""
    return "×".join(map(str, shape)) or "scalar"


def model_table(rows: Sequence[tuple[str, str, Sequence[int], int]], total: int, trainable: int) -> Table:
    """(position, component, output shape, parameters) of every layer, and the sum."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("layer")
    table.add_column("component", footer="trainable" if total == trainable else f"{trainable:,} trainable of")
    table.add_column("output")
    table.add_column("parameters", justify="right", footer=f"{total:,}")
    for position, component, shape, count in rows:
        table.add_row(safe(position), Text(safe(component)), shown(shape), f"{count:,}" if count else "")
    return table


def results_table(results: Mapping[str, Mapping[str, Any]]) -> Table:
    """Split × metric; what is no single number (a confusion matrix) stays in the journal."""
    names = list(
        dict.fromkeys(
            name for values in results.values() for name, value in values.items() if isinstance(value, (int, float))
        )
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("split")
    for name in names:
        table.add_column(safe(name), justify="right")
    for split, values in results.items():
        cells = [f"{values[name]:.4f}" if isinstance(values.get(name), (int, float)) else "" for name in names]
        table.add_row(split, *cells)
    return table


def findings_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """What the diagnostics found, from when to when, and what to do about what still stands."""
    ends = {(line["name"], line["network"], line["since"]): line["step"] for line in lines if line["event"] == "ended"}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("finding", "where", "steps", "remedy"):
        table.add_column(name, overflow="fold")
    for line in (line for line in lines if line["event"] == "began"):
        end = ends.get((line["name"], line["network"], line["since"]))
        steps = f"{line['since']} – {'end' if end is None else end}"
        where, remedy = safe(line["layer"] or line["network"]), "" if end is not None else safe(line["remedy"])
        table.add_row(line["name"], Text(where), steps, Text(remedy))
    return table
