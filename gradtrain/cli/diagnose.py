"""gradtrain diagnose CONFIG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def diagnose(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values that replace the file's.")
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="One of the config's profiles.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long to look.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as one JSON object.")] = False,
) -> None:
    """Check a config up before a long run: gradients, learning rate, time, memory."""
    import importlib.util

    from gradtrain.cli.failure import show_problems
    from gradtrain.cli.terminal import console, print_json, progress, width
    from gradtrain.diagnose import as_json as plain
    from gradtrain.diagnose import diagnosed
    from gradtrain.report.diagnosis import page

    progress(f"looking at the first steps for about {seconds:g} s")
    found = diagnosed(config, profile, overrides or [], seconds)
    progress("")
    if as_json:
        print_json(plain(found))
        return
    shown = console()
    for line in page(found, width(), charts=importlib.util.find_spec("plotext") is not None):
        shown.print(line, soft_wrap=True)
    show_problems(list(found.warnings), str(config))
