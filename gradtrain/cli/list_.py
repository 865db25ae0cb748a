"""gradtrain list [FAMILY]."""

from __future__ import annotations

from typing import Annotated

import typer


def _families(incomplete: str) -> list[str]:
    from gradtrain.registry import families

    return [name for name in families() if name.startswith(incomplete)]


def list_(
    family: Annotated[
        str | None, typer.Argument(metavar="FAMILY", help="A family, as `losses`.", autocompletion=_families)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """List the components, or those of one family."""
    from gradtrain.cli.terminal import print_json, print_table
    from gradtrain.registry import about
    from gradtrain.report.catalogue import as_data, entries

    found = entries(family)
    if as_json:
        print_json([as_data(entry) for entry in found])
        return
    rows = [(entry.family, entry.name, entry.cls.main_parameter() or "", about(entry.cls).summary) for entry in found]
    print_table(("family", "name", "main parameter", "what it is"), rows)
