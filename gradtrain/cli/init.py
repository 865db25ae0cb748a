"""gradtrain init [TEMPLATE]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    template: Annotated[
        str,
        typer.Argument(metavar="[TEMPLATE]", help="The config to start from: `classify`, `regress` or `images`."),
    ] = "classify",
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; by default TEMPLATE.yaml.")] = None,
) -> None:
    """Write a config to start from."""
    from gradtrain.cli.terminal import print_text
    from gradtrain.config.templates import write

    path = write(template, out)
    print_text(f"wrote {path}\nnext: gradtrain train {path}")
