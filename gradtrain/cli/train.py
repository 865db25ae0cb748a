"""gradtrain train CONFIG [key=value ...]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The YAML file of the run.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Values that replace the file's, as `optimizer.lr=1e-3`."),
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="One of the config's profiles.")] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="The run's folder; by default the next free runs/NAME/NNN.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="One step, one batch of every split, one checkpoint; leaves nothing behind."),
    ] = False,
    live: Annotated[bool, typer.Option("--live", help="Draw charts below the progress line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line.")] = False,
) -> int:
    """Train what one config describes."""
    from gradtrain.training.stop import Stop

    with Stop().listening() as stop:  # before torch is imported, which takes longer than anything else here
        from gradtrain.report.charts import display
        from gradtrain.start import start

        shown = display(as_json, live)
        return start(
            config, profile=profile, overrides=overrides or [], folder=run, dry_run=dry_run, shown=shown, stop=stop
        ).exit_code
