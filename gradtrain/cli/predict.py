"""gradtrain predict RUN DATA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="A .csv table or an .npz file with the same inputs as the training data."),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Write a CSV file instead of printing.")] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="`best`, `last`, or the number of a step.")] = "best",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a sample.")] = False,
) -> None:
    """Apply a trained run to new data."""
    from functools import partial

    from gradtrain.cli.failure import warn
    from gradtrain.cli.terminal import print_text
    from gradtrain.predict import predicted, written
    from gradtrain.storage.files import refused

    text = written(predicted(run, data, checkpoint, partial(warn, as_json=as_json)), as_json=as_json)
    if out is None:
        print_text(text.rstrip("\n"))
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise refused(error, out) from None
