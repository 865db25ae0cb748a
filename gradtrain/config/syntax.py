"""What libyaml cannot read, in our words: where the mistake was made, and what it probably was."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import yaml

from gradtrain.problems import Place, Problem, quote

MAX_DEPTH = 32
"""Levels of a config."""

MERGE = re.compile(r"(<{7}|={7}|>{7})( |$)")
TOML = re.compile(r"\[\[?[\w.-]+\]\]?\s*$|[\w.-]+\s*=\s")
PYTHON = re.compile(r"(import|from|def|class)\s+\w|@\w+\s*$")


def broken(error: yaml.YAMLError, lines: Sequence[str], place: Callable[..., Place]) -> Problem:
    """The refusal for an error of libyaml; `place(line, column)` counts from 0."""
    mark = getattr(error, "problem_mark", None)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    line = min(line, len(lines) - 1)
    said = str(getattr(error, "problem", None) or error).splitlines()[0]
    if "nesting depth" in said:  # libyaml 0.2.6 has a limit of its own, and reads ahead of the events
        return too_deep(place(line, column))
    if "Unicode character escape" in said:
        column = max(0, lines[line].rfind("\\", 0, column + 1))
        what = f"{quote(lines[line][column : column + 6])} is not a character"
        why = "half of a surrogate pair, or a number beyond Unicode, is no text"
        return Problem("config-encoding", what, place(line, column, 6), why, "remove it")
    if (begins := _opening(error, line)) is not None:
        line, column, said = begins
    return _explained(said, line, column, lines, place)


def too_deep(place: Place) -> Problem:
    return Problem("config-limit", f"nested deeper than {MAX_DEPTH} levels", place, "no sane config is that large")


def _opening(error: yaml.YAMLError, line: int) -> tuple[int, int, str] | None:
    """(line, column, what is wrong) where something was opened that no later line closes."""
    context, mark = str(getattr(error, "context", "")), getattr(error, "context_mark", None)
    if mark is None or mark.line >= line:
        return None
    if "quoted" in context:
        return mark.line, mark.column, "the quote that opens here is never closed"
    if "flow" in context:
        return mark.line, mark.column, "the bracket that opens here is never closed"
    return None


def _explained(said: str, line: int, column: int, lines: Sequence[str], place: Callable[..., Place]) -> Problem:
    written, help = lines[line], ""
    near = range(max(0, line - 1), line + 1)
    if (marked := next((number for number, text in enumerate(lines) if MERGE.match(text)), None)) is not None:
        line, column, help = marked, 0, "these are the marks of an unfinished merge: resolve it first"
    elif "\t" in written[: len(written) - len(written.lstrip())] or "tab" in said or "\\t" in said:
        help = "YAML is indented with spaces, not tabs"
    elif (hidden := next((number for number in near if "\u00a0" in lines[number]), None)) is not None:
        line, column = hidden, lines[hidden].index("\u00a0")
        help = "there is a no-break space here: write an ordinary space"
    elif (other := other_language(lines[: line + 1])) is not None:
        (help, line), column = other, 0
    elif re.match(r"\s*[\w-]+:\s*\S.*: ", written):
        help = "quote a text that contains `: `"
    elif written[column : column + 1] in ("@", "%", "`"):
        help = "quote a text that begins with `@`, `%` or a backtick"
    elif unspaced := next((n for n in near if re.match(r"\s*(- )?[A-Za-z_]\w*:[^\s:/\\]", lines[n])), None):
        line, column = unspaced, lines[unspaced].index(":")
        help = "write a space behind the colon"
    elif joined := next((n for n in near if re.match(r"\s*-[A-Za-z_]", lines[n])), None):
        line, column = joined, lines[joined].index("-")
        help = "write a space behind the dash"
    what = f"not YAML: {said}"
    default = "check indentation, quotes and brackets"
    return Problem("yaml-syntax", what, place(line, column), "a config is one YAML document", help or default)


def other_language(lines: Sequence[str]) -> tuple[str, int] | None:
    """(what a text that is no YAML seems to be, the first line that does); None when it looks like YAML."""
    for number, line in enumerate(lines):
        if PYTHON.match(line):
            return "this looks like Python: a config is YAML and never a program", number
        if TOML.match(line):
            return "this looks like TOML: a config is YAML, `key: value`", number
    return None
