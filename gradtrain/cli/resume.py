"""gradtrain resume RUN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    allow_change: Annotated[
        list[str] | None,
        typer.Option("--allow-change", metavar="KEY", help="A key of the config whose change is meant; repeatable."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Refuse to go on where anything could change a bit: config, data, machine.")
    ] = False,
    live: Annotated[bool, typer.Option("--live", help="Draw charts below the progress line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line.")] = False,
) -> int:
    """Go on with an interrupted run exactly where it stopped."""
    from gradtrain.training.stop import Stop

    with Stop().listening() as stop:  # before torch is imported, which takes longer than anything else here
        from gradtrain.report.charts import display
        from gradtrain.start import go_on

        shown = display(as_json, live)
        return go_on(run, allowed=allow_change or [], exact=exact, shown=shown, stop=stop).exit_code
