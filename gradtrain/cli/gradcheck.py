"""gradtrain gradcheck [NAME ...]."""

from __future__ import annotations

from typing import Annotated

import typer

from gradtrain.cli.show import component_names


def gradcheck(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Components or families, as `huber`, `losses`, `layers.linear`; all by default.",
            autocompletion=component_names,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every check as one JSON object.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the inputs that are drawn.")] = 0,
) -> int:
    """Prove derivatives: all components, or some of them."""
    from gradtrain.cli.terminal import console, print_json, progress
    from gradtrain.gradcheck import as_json as findings
    from gradtrain.gradcheck import check_everything, show

    report = check_everything(names or (), seed, lambda row: progress(f"checked {row.family}.{row.name}"))
    progress("")
    if as_json:
        print_json(findings(report))
    else:
        show(report, console())
    return 0 if report.ok else 1
