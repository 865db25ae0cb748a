"""The command line: one module a command, imported when that command is used.

A command `some-name` is the function `some_name` in `some_name.py`; a name that Python itself uses gets a
trailing underscore (`list_`). A command without its file does not exist: the table
below only orders and summarises.
"""

from __future__ import annotations

import builtins
import importlib
import io
import keyword
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from gradtrain.cli import failure
from gradtrain.problems import Problem, did_you_mean, quote

SUMMARIES = {
    "train": "Train what one config describes.",
    "resume": "Go on with an interrupted run exactly where it stopped.",
    "replay": "Try the step that ended a run once more, and find the first number that is not finite.",
    "validate": "Find every problem of config files without running them.",
    "explain": "Show how a config's gradients flow: shapes, parameters, derivatives.",
    "diagnose": "Check a config up before a long run: gradients, learning rate, time, memory.",
    "gradcheck": "Prove derivatives: all components, some of them, or a whole config.",
    "list": "List the components, or those of one family.",
    "show": "Show one component: formula, derivative, paper, parameters, YAML.",
    "evaluate": "Measure a trained run on its data.",
    "predict": "Apply a trained run to new data.",
    "sample": "Draw from a trained generative run.",
    "export": "Hand a trained run to other tools.",
    "report": "Write a page about runs.",
    "compare": "Put runs side by side.",
    "runs": "List the runs.",
    "sweep": "Train many variants of one config.",
    "init": "Write a config to start from.",
    "schema": "Print the JSON Schema of configs, for editors.",
    "cite": "Print the papers behind what a config uses.",
    "explain-error": "Explain an error code.",
}
"""Every command's line of help, in the order of the help page: the first line of its docstring."""


def stem(command: str) -> str:
    """The name of a command's module, and of the function in it."""
    name = command.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) or hasattr(builtins, name) else name


class Commands(TyperGroup):
    """All commands; each one's module is imported when it is asked for by name."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in SUMMARIES if Path(__file__).with_name(f"{stem(name)}.py").is_file()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{stem(cmd_name)}")
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(cmd_name, context_settings=NAMES_OF_HELP)(getattr(module, stem(cmd_name)))
        return typer.main.get_command(alone)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args[0] not in known and not ctx.resilient_parsing:
            help = did_you_mean(args[0], known, "`gradtrain --help` lists the commands")
            raise Problem("unknown-command", f"there is no command {quote(args[0])}", help=help)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in self.list_commands(ctx)])


NAMES_OF_HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(cls=Commands, rich_markup_mode=None, context_settings=NAMES_OF_HELP)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        try:
            typer.echo(f"gradtrain {metadata.version('gradtrain')}")
        except metadata.PackageNotFoundError:
            typer.echo("gradtrain (run from its source, not installed)")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def gradtrain(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, as GRADTRAIN_DEBUG=1 does.")
    ] = False,
) -> None:
    """Train PyTorch models from one YAML file, and prove that their gradients are right."""
    if debug:
        os.environ["GRADTRAIN_DEBUG"] = "1"
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit status; a command may return one, None is 0."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        commands = typer.main.get_command(app)
        if "_GRADTRAIN_COMPLETE" in os.environ:
            commands.main(args=[], prog_name="gradtrain")  # answers the shell and exits
        with commands.make_context("gradtrain", list(args)) as context:
            status = commands.invoke(context)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except BaseException as error:
        return failure.report(error, as_json="--json" in args)


def main() -> NoReturn:
    """The entry point of the `gradtrain` command."""
    sys.exit(run(sys.argv[1:]))
