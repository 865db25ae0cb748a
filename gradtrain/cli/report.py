"""gradtrain report RUN [RUN ...]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the page goes; `-` is stdout.")] = Path(
        "report.html"
    ),
    prove: Annotated[
        bool, typer.Option("--prove", help="Prove the components that the runs use, and show the result.")
    ] = False,
) -> None:
    """Write a page about runs."""
    import time

    from gradtrain.cli.terminal import print_text, progress
    from gradtrain.dossier import dossiers
    from gradtrain.report.page import page, ready
    from gradtrain.storage.files import write_atomically

    ready()
    found = dossiers(runs, prove=prove, each=lambda name: progress(f"proved {name}"))
    progress("")
    text = page(found, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
    if str(out) == "-":
        print(text)
        return
    write_atomically(out, text.encode())
    print_text(str(out))
