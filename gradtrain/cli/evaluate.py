"""gradtrain evaluate RUN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    split: Annotated[
        str | None, typer.Option("--split", help="The split to measure: by default test, else val, else train.")
    ] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="`best`, `last`, or the number of a step.")] = "best",
    as_json: Annotated[bool, typer.Option("--json", help="Print metric → value as one JSON object.")] = False,
) -> None:
    """Measure a trained run on its data."""
    from functools import partial

    from gradtrain.cli.failure import warn
    from gradtrain.cli.terminal import console, print_json
    from gradtrain.report.tables import results_table
    from gradtrain.start import measured

    name, values = measured(run, split, checkpoint, partial(warn, as_json=as_json))
    if as_json:
        print_json(values)
    else:
        console().print(results_table({name: values}))
