"""gradtrain validate CONFIG ..."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def validate(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="The YAML files.")],
    data: Annotated[bool, typer.Option("--data", help="Read the data as well, and check what depends on it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file.")] = False,
) -> int:
    """Find every problem of config files without running them."""
    from gradtrain.cli.failure import show_problems
    from gradtrain.cli.terminal import print_text
    from gradtrain.config.validate import validated

    status = 0
    for path in configs:
        found = validated(path, read_data=data)
        status = max(status, show_problems(found, str(path), as_json=as_json))
        if not any(problem.severity == "error" for problem in found):
            print_text(json.dumps({"config": str(path), "ok": True}) if as_json else f"{path}: ok")
    return status
