"""gradtrain explain CONFIG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values that replace the file's.")
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="One of the config's profiles.")] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="Measure the gradient at every stage, on the first batch of the run.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as one JSON object.")] = False,
) -> None:
    """Show how a config's gradients flow: shapes, parameters, derivatives."""
    from gradtrain.cli.failure import show_problems
    from gradtrain.cli.terminal import console, print_json, width
    from gradtrain.explain import explained
    from gradtrain.report.flow import page

    found = explained(config, profile, overrides or [], batch=batch)
    if as_json:
        print_json(found.as_json())
        return
    shown = console()
    for line in page(found.flow, found.measured, width()):
        shown.print(line, soft_wrap=True)
    show_problems(list(found.warnings), str(config))
