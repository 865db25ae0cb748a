"""gradtrain compare RUN RUN ..."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN...",
            help="Run folders, or journals; with an assertion the first is the baseline.",
        ),
    ],
    assert_equal: Annotated[
        bool,
        typer.Option(
            "--assert-equal",
            help="Exit with 1 unless the journals hold the same numbers, bit for bit (times aside).",
        ),
    ] = False,
    assert_close: Annotated[
        float | None,
        typer.Option(
            "--assert-close",
            metavar="TOL",
            min=0.0,
            help="Exit with 1 unless all numbers agree within this relative tolerance.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Put runs side by side."""
    from gradtrain.cli.terminal import print_json, print_table, print_text
    from gradtrain.report.compare import compared, differences, table

    tolerance = 0.0 if assert_equal else assert_close
    found = compared(runs)
    wrong = differences(runs, tolerance) if tolerance is not None else []
    if as_json:
        print_json({"runs": found, "differences": wrong} if tolerance is not None else {"runs": found})
    else:
        print_table(*table(found))
        for line in wrong[:20]:
            print_text(line)
        if tolerance is not None:
            print_text(f"{len(wrong)} differences" if wrong else "the journals agree")
    return 1 if wrong else 0
