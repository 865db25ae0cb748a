"""gradtrain gradcheck [NAME | CONFIG | PLUGIN ...]."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gradtrain.cli.show import component_names


def gradcheck(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME | CONFIG | PLUGIN | KEY=VALUE]...",
            help="Components or families (`huber`, `losses`, `layers.linear`), configs (.yaml), a file of your own "
            "components (.py); values that replace a config's. Everything by default.",
            autocompletion=component_names,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every check as one JSON object.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the checks as JUnit XML, too.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the inputs that are drawn.")] = 0,
    directions: Annotated[
        int, typer.Option("--directions", min=1, help="Random directions for every tensor of a config.")
    ] = 2,
    order: Annotated[int, typer.Option("--order", min=1, help="Highest derivative proven of a config.")] = 2,
    budget: Annotated[
        float | None, typer.Option("--budget", min=0, help="Seconds after which nothing further is begun.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="What stays unresolved fails, too.")] = False,
    profile: Annotated[str | None, typer.Option("--profile", help="One of the config's profiles.")] = None,
    allow_code: Annotated[bool, typer.Option("--allow-code", help="Import the Python files that are named.")] = False,
) -> int:
    """Prove derivatives: all components, some of them, or a whole config."""
    from gradtrain.cli.terminal import console, print_json, print_text, progress
    from gradtrain.gradcheck import Asked, check_all, show
    from gradtrain.gradcheck import as_json as findings

    asked = Asked.of(words or (), seed, budget, profile, allow_code, directions, order)
    report = check_all(asked, lambda row: progress(f"checked {row.family}.{row.name}"))
    if asked.configs:
        from gradtrain.prove import prove_configs

        report = prove_configs(asked, report, lambda name: progress(f"proving {name}"))
    progress("")
    if junit is not None:
        from gradtrain.gradcheck.junit import write

        write(report, junit)
    if as_json:
        print_json(findings(report))
    else:
        show(report, console())
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from gradtrain.gradcheck.annotations import lines

            for line in lines(report, asked.files):
                print_text(line)
    return 0 if report.passed(strict) else 1
