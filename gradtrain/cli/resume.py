"""gradtrain resume RUN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    live: Annotated[bool, typer.Option("--live", help="Draw charts below the progress line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line.")] = False,
) -> int:
    """Go on with an interrupted run exactly where it stopped."""
    from gradtrain.report.charts import display
    from gradtrain.start import go_on

    return go_on(run, shown=display(as_json, live)).exit_code
