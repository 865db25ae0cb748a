"""gradtrain explain-error CODE."""

from __future__ import annotations

from typing import Annotated

import typer

from gradtrain.problems import Problem, did_you_mean, exit_codes, explanation, quote


def _codes(incomplete: str) -> list[str]:
    return [code for code in sorted(exit_codes()) if code.startswith(incomplete)]


def explain_error(
    code: Annotated[
        str,
        typer.Argument(metavar="CODE", help="What stands in the brackets of `error[...]`.", autocompletion=_codes),
    ],
) -> None:
    """Explain an error code."""
    code = code.removeprefix("error[").removeprefix("warning[").removesuffix("]")
    page = explanation(code)
    if page is None:
        raise Problem(
            "unknown-code",
            f"there is no error code {quote(code)}",
            help=did_you_mean(code, exit_codes(), "a code is what stands in the brackets of `error[...]`"),
        )
    typer.echo(f"error[{code}], exit status {exit_codes()[code]}\n\n{page}")
