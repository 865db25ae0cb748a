"""How the command line ends when something goes wrong: what is said on stderr, and the exit status."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import sys
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

import typer

from gradtrain.problems import (
    SHOWN_AT_MOST,
    Place,
    Problem,
    did_you_mean,
    flatten,
    out_of_memory,
    quote,
    render,
    safe,
    several,
)
from gradtrain.training.stop import Interrupted

INTERRUPTED = 130
BROKEN_PIPE = 141


def report(error: BaseException, *, as_json: bool = False) -> int:
    """Say what went wrong on stderr and return the exit status that it means."""
    match error:
        case SystemExit():
            return _status_of(error)
        case typer.Exit():
            return error.exit_code
        case Interrupted():
            _say(f"interrupted: {error}, before there was anything to save")
            return error.exit_code
        case KeyboardInterrupt() | typer.Abort():
            return INTERRUPTED
    if _stdout_is_gone() and isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if os.environ.get("GRADTRAIN_DEBUG", "0") not in ("", "0"):
        _say("".join(traceback.format_exception(error)).rstrip())
    try:
        problems = as_problems(error)
        lines, status = list(_lines(problems, as_json)), _first_error(problems).exit_code
    except Exception as second:  # a refusal that cannot be shown is a bug of ours as well
        lines, status = list(_lines(bug(second), as_json)), 1
    for line in lines:
        _say(line)
    return status


def show_problems(problems: list[Problem], where: str, *, as_json: bool = False) -> int:
    """Say all problems of one file on stderr; the exit status of the first error, 0 when there are only warnings."""
    errors = [problem for problem in problems if problem.severity == "error"]
    for problem in problems:
        if problem.severity == "warning":
            warn(problem, as_json=as_json)
    return report(errors[0] if len(errors) == 1 else several(errors, where), as_json=as_json) if errors else 0


def warn(problem: Problem, *, as_json: bool = False) -> None:
    """Say on stderr what is doubtful, though it is no reason to stop."""
    line = json.dumps(problem.as_json(), ensure_ascii=False) if as_json else render(problem, colour=colour(sys.stderr))
    _say(line)


def as_problems(error: BaseException) -> Problem | BaseExceptionGroup[Problem]:
    """Any exception as a refusal: our own ones unchanged, resources by their errno, the rest as a bug."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, BaseExceptionGroup):
        _, others = error.split(Problem)
        return error if others is None else as_problems(next(_leaves(others)))
    if isinstance(error, usage_errors()):
        return _usage(error)
    return _resource(error) or bug(error)


def bug(error: BaseException) -> Problem:
    """The refusal for an exception that nobody foresaw."""
    said = safe(str(error), 300).strip().replace("\n", " ")
    return Problem(
        "bug",
        f"a bug in gradtrain: {type(error).__name__}{': ' if said else ''}{said}",
        why="gradtrain refuses what it cannot do with a code of its own; this exception was not foreseen",
        help="run it again as `gradtrain --debug ...`, and report the traceback, the config and the version",
    )


def usage_errors() -> type[Exception]:
    """The exception that typer raises for a command line it cannot parse."""
    return typer.BadParameter.__mro__[1]


def colour(stream: TextIO | None) -> bool:
    """Whether escape codes may be written to a stream: only to a terminal, and never against NO_COLOR."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def _lines(problems: BaseException, as_json: bool) -> Iterator[str]:
    if as_json:
        yield from (json.dumps(problem.as_json(), ensure_ascii=False) for problem in flatten(problems))
        return
    if isinstance(problems, Problem):
        yield render(problems, colour=colour(sys.stderr))
    elif isinstance(problems, BaseExceptionGroup):
        own = [inner for inner in problems.exceptions if isinstance(inner, Problem)]
        for problem in own[:SHOWN_AT_MOST]:
            yield from _lines(problem, as_json)
        for group in problems.exceptions:
            if isinstance(group, BaseExceptionGroup):
                yield from _lines(group, as_json)
        if len(own) > SHOWN_AT_MOST:
            yield f"{len(own) - SHOWN_AT_MOST} more"
        if len(problems.exceptions) > 1:
            yield safe(problems.message)


def _first_error(problems: BaseException) -> Problem:
    found = list(flatten(problems))
    return next((problem for problem in found if problem.severity == "error"), found[0])


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from _leaves(inner)
        else:
            yield inner


def _usage(error: Any) -> Problem:
    """A command line that typer could not parse, in our words."""
    context = error.ctx
    command = context.command_path if context else "gradtrain"
    usage = " ".join(context.get_usage().split()).replace("Usage:", "usage:") if context else ""
    said = _in_backticks(safe(error.message, 200)).replace("Input should be", "it should be")
    match type(error).__name__:
        case "NoSuchOption":
            parameters = context.command.get_params(context) if context else []
            options = [o for p in parameters for o in (*p.opts, *p.secondary_opts) if o.startswith("-")]
            commands = context.find_root().command.list_commands(context) if context else []
            if error.option_name in ("--debug", "--version"):
                help = f"`{error.option_name}` stands before the command: `gradtrain {error.option_name} ...`"
            elif (word := error.option_name.lstrip("-")) in commands:
                help = f"`gradtrain {word}` is a command of its own"
            else:
                overrides = any(parameter.name == "overrides" for parameter in parameters)
                keys = (
                    f"keys of the config stand without dashes: `{word}=…`. "
                    if overrides and word.isidentifier()
                    else ""
                )
                help = did_you_mean(error.option_name, options, f"{keys}`{command} --help` shows its options")
            return Problem("unknown-option", f"`{command}` has no option {quote(error.option_name)}", help=help)
        case "MissingParameter":
            return Problem("missing-argument", f"`{command}` needs {quote(_called(error))}", help=usage)
        case "BadParameter":
            return Problem(
                "option-value",
                f"{quote(_called(error))} cannot have this value: {said}",
                help=f"`{command} --help` says what it takes",
            )
        case "BadOptionUsage":  # it does not say which command it is about
            help = "leave its value out" if "does not take" in said else f"write one behind it: `{error.option_name} …`"
            return Problem("option-value", f"{said[:1].lower()}{said[1:].rstrip('.')}", help=help)
    extra = re.search(r"extra arguments?(?:\(s\))? \((.*)\)$", error.message, re.DOTALL)
    what = f"`{command}` takes no further argument: {quote(extra[1])}" if extra else f"`{command}`: {said.rstrip('.')}"
    return Problem("unexpected-argument", what, help=usage)


def _called(error: Any) -> str:
    if error.param is None:
        return str(error.param_hint or "the command line")
    return str(
        error.param.opts[0] if error.param.param_type_name == "option" else error.param.metavar or error.param.name
    )


def _in_backticks(text: str) -> str:
    return re.sub(r"'([^']*)'", r"`\1`", text)


def _resource(error: BaseException) -> Problem | None:
    """What the machine could not give: room on the disk, memory, a right; None when it is something else."""
    if (memory := out_of_memory(error)) is not None:
        return memory
    if not isinstance(error, OSError):
        return None
    at = Place(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    why = os.strerror(error.errno).lower() if error.errno else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return Problem("disk-full", "there is no room to write", at, why, "free some space, or write elsewhere")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Problem(
                "permission-denied",
                "the system does not permit it",
                at,
                why,
                "check the owner and the rights of the place",
            )
        case errno.EMFILE | errno.ENFILE:
            return Problem("too-many-files", "too many files are open", at, why, "raise the limit: `ulimit -n 4096`")
        case errno.ENAMETOOLONG | errno.ELOOP:
            what = f"{quote(str(error.filename or ''))} is not a path"
            return Problem("bad-path", what, why=why, help="name a file or a folder")
        case errno.ENOMEM:
            return Problem("out-of-memory", "there is not enough memory", at, why)
        case errno.EIO | errno.ENXIO | errno.ESTALE | errno.ENODEV | errno.EBUSY | errno.ENOTCONN:
            return Problem(
                "input-output",
                "the device failed",
                at,
                why,
                "check the disk or the mount; a run can be resumed",
            )
    return None


def _status_of(error: SystemExit) -> int:
    if isinstance(error.code, str):
        _say(safe(error.code))
        return 1
    return error.code or 0


def _stdout_is_gone() -> bool:
    """Whether nobody reads stdout any more. If so, or if it is full, /dev/null takes its place."""
    if sys.stdout is None:
        return False
    try:
        waiting = select.poll()
        waiting.register(sys.stdout.fileno(), 0)
        gone = any(event & select.POLLERR for _, event in waiting.poll(0))
        sys.stdout.flush()
    except BrokenPipeError:
        gone = True
    except (OSError, ValueError):
        return _discard_stdout()
    if gone:
        _discard_stdout()
    return gone


def _discard_stdout() -> bool:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return False


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
