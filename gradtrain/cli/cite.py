"""gradtrain cite CONFIG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def cite(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print an array of objects.")] = False,
) -> None:
    """Print the papers behind what a config uses."""
    from gradtrain.cli.terminal import print_json, print_text
    from gradtrain.config.cite import papers

    found = papers(config)
    if as_json:
        print_json([{"family": family, "name": name, "paper": paper} for family, name, paper in found])
    for family, name, paper in () if as_json else found:
        print_text(f"{name} ({family.rstrip('s')})\n    {paper}")
