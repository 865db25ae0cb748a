"""gradtrain replay RUN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def replay(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> int:
    """Try the step that ended a run once more, and find the first number that is not finite."""
    from gradtrain.cli.terminal import print_json
    from gradtrain.replay import replayed

    found = replayed(run)
    if as_json:
        print_json(found.as_json())
    else:
        for line in found.lines():
            typer.echo(line)
    return found.exit_code
