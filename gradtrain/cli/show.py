"""gradtrain show NAME."""

from __future__ import annotations

from typing import Annotated

import typer


def component_names(incomplete: str) -> list[str]:
    from gradtrain.report.catalogue import every_name

    return [name for name in every_name() if name.startswith(incomplete) and ("." in incomplete or "." not in name)]


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A component, as `huber` or `losses.huber`.", autocompletion=component_names
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Show one component: formula, derivative, paper, parameters, YAML."""
    from gradtrain.cli.terminal import print_json, print_text, width
    from gradtrain.components.activations import Activation
    from gradtrain.report.catalogue import as_data, as_text, lookup
    from gradtrain.report.curves import curves

    entry = lookup(name)
    if as_json:
        print_json(as_data(entry))
        return
    print_text(as_text(entry, width()))
    if issubclass(entry.cls, Activation):
        print_text("\n" + curves(entry.cls, width()))
