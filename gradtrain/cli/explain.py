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
) -> None:
    """Show how a config's gradients flow: shapes, parameters, derivatives."""
    from gradtrain.cli.terminal import console
    from gradtrain.explain import explained

    for part in explained(config, profile, overrides or []):
        console().print(part)
