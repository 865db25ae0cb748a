"""gradtrain runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def runs(
    root: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where the runs are.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print an array of objects.")] = False,
) -> None:
    """List the runs."""
    from gradtrain.cli.terminal import print_json, print_table, print_text
    from gradtrain.problems import Problem, quote
    from gradtrain.report.runs import HEAD, overview, row

    if root != Path("runs") and not root.is_dir():
        raise Problem(
            "not-a-run", f"there is no folder {quote(str(root))}", help="name the folder that the runs are in"
        )
    found = overview(root)
    if as_json:
        print_json(found)
    elif not found:
        print_text(f"no runs in {root}")
    else:
        print_table(HEAD, [row(entry) for entry in found])
