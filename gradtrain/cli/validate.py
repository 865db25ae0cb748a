"""gradtrain validate CONFIG ..."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def validate(
    words: Annotated[
        list[str],
        typer.Argument(metavar="CONFIG... [KEY=VALUE]...", help="The YAML files; values that replace theirs."),
    ],
    data: Annotated[bool, typer.Option("--data", help="Read the data as well, and check what depends on it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file.")] = False,
) -> int:
    """Find every problem of config files without running them."""
    from gradtrain.cli.failure import show_problems
    from gradtrain.cli.terminal import print_text
    from gradtrain.config.validate import validated
    from gradtrain.problems import Problem

    status = 0
    overrides = [word for word in words if "=" in word and not Path(word).exists()]
    configs = [Path(word) for word in words if word not in overrides]
    if not configs:
        raise Problem("missing-argument", "`gradtrain validate` needs `CONFIG`", help="name a YAML file")
    for path in configs:
        found = validated(path, overrides, read_data=data)
        status = max(status, show_problems(found, str(path), as_json=as_json))
        if not any(problem.severity == "error" for problem in found):
            print_text(json.dumps({"config": str(path), "ok": True}) if as_json else f"{path}: ok")
    return status
