"""How gradtrain refuses: one exception, one renderer, one table of exit codes.

Every refusal is a `Problem`; several at once travel as an `ExceptionGroup` of them. A problem's exit code and its
page (`gradtrain explain-error CODE`) stand in `explanations/N-*.md`, where N is the exit code: a code without a
page cannot be raised.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

EXPLANATIONS = Path(__file__).parent / "explanations"
SHOWN_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: line and column count from 1; line 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0
    length: int = 1
    text: str = ""
    """The source line itself, for the caret; empty when it is not at hand."""

    def __str__(self) -> str:
        if not self.line:
            return safe(self.file)
        return f"{safe(self.file)}:{self.line}:{self.column}" if self.column else f"{safe(self.file)}:{self.line}"


class Problem(Exception):
    """One refusal: what is wrong, where, why that is a rule, and what to do about it.

    `code` is kebab-case and names a page under `explanations/`. `what` is one sentence in lower case without a
    final period. A problem with severity "warning" is shown and never raised.
    """

    def __init__(
        self,
        code: str,
        what: str,
        at: Place | None = None,
        why: str = "",
        help: str = "",
        *,
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        super().__init__(what)
        self.code, self.what, self.at, self.why, self.help = code, what, at, why, help
        self.severity = severity

    @property
    def exit_code(self) -> int:
        return exit_codes()[self.code]

    def as_json(self) -> dict[str, Any]:
        """The fields a machine reads: severity, code, exit, what, file, line, column, why, help."""
        at = self.at
        return {
            "severity": self.severity,
            "code": self.code,
            "exit": self.exit_code,
            "what": safe(self.what),
            "file": safe(at.file) if at else None,
            "line": at.line or None if at else None,
            "column": at.column or None if at else None,
            "why": safe(self.why),
            "help": safe(self.help),
        }


def several(problems: Iterable[Problem], where: str) -> ExceptionGroup[Problem]:
    """All problems of one file as one exception, sorted by their place."""
    ordered = sorted(problems, key=lambda p: (p.at.line, p.at.column) if p.at else (0, 0))
    count = len(ordered)
    return ExceptionGroup(f"found {count} problem{'s' * (count != 1)} in {safe(where)}", ordered)


def flatten(error: BaseException) -> Iterator[Problem]:
    """The problems in a `Problem` or in a (nested) group of them."""
    if isinstance(error, Problem):
        yield error
    elif isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from flatten(inner)


@functools.cache
def exit_codes() -> dict[str, int]:
    """Problem code → exit status of the process that ends with it."""
    codes: dict[str, int] = {}
    for page in sorted(EXPLANATIONS.glob("*.md")):
        status = int(page.name.split("-")[0])
        codes.update(dict.fromkeys(re.findall(r"^## (\S+)$", page.read_text("utf-8"), re.M), status))
    return codes


def explanation(code: str) -> str | None:
    """The page of a problem code, or None when there is no such code."""
    for page in EXPLANATIONS.glob("*.md"):
        for section in re.split(r"^## ", page.read_text("utf-8"), flags=re.M)[1:]:
            name, _, text = section.partition("\n")
            if name == code:
                return text.strip()
    return None


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was most likely meant to be: as a whole, or as one of its words."""
    known = {candidate.casefold(): candidate for candidate in candidates}
    whole = difflib.get_close_matches(word.casefold(), known, n=1, cutoff=0.6)
    if not whole or difflib.SequenceMatcher(None, whole[0], word.casefold()).ratio() < 0.8:
        words = {part: full for full in reversed(known) for part in full.split("_") if part != full and len(part) > 3}
        if part := difflib.get_close_matches(word.casefold(), words, n=1, cutoff=0.8):
            return known[words[part[0]]]
    return known[whole[0]] if whole else None


def did_you_mean(word: str, candidates: Iterable[str], otherwise: str = "") -> str:
    """A help line: "did you mean `x`?", followed or replaced by `otherwise`."""
    close = nearest(word, candidates)
    return ". ".join(part for part in (f"did you mean `{close}`?" if close else "", otherwise) if part).replace(
        "?.", "?"
    )


_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def safe(text: str, limit: int = 2000) -> str:
    """A string from outside, made harmless for a terminal: control, bidi and surrogate characters are escaped.

    Newlines and tabs stay: callers that need one line escape them first.
    """
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text)} characters)"
    return _HIDDEN.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str, limit: int = 2000) -> str:
    """As `safe`, with line breaks and tabs escaped too: nothing can look like a line of ours."""
    return safe(text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t"), limit)


def quote(value: object, limit: int = 60) -> str:
    """A user's value as it is shown inside a sentence: in backticks, on one line, never longer than `limit`."""
    text = one_line(value if isinstance(value, str) else _spelled(value), 10 * limit)
    return f"`{text if len(text) <= limit else text[: limit - 1] + '…'}`"


def _spelled(value: object) -> str:
    return (
        {True: "true", False: "false", None: "null"}.get(value, str(value))
        if value is None or isinstance(value, bool)
        else str(value)
    )


def render(problem: Problem, *, colour: bool = False) -> str:
    """The problem as a reader sees it: header, place, the line with its caret, the rule, and what to do."""
    red, blue, bold, off = ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m") if colour else ("",) * 4
    if problem.severity == "warning":
        red = red and "\x1b[1;33m"
    lines = [f"{red}{problem.severity}[{problem.code}]{off}{bold}: {safe(problem.what)}{off}"]
    at = problem.at
    gutter = " " * len(str(at.line)) if at and at.line else ""
    if at:
        lines.append(f"{gutter} {blue}-->{off} {at}")
    if at and at.line and at.text:
        shown, start, length = _excerpt(at)
        lines += [
            f"{gutter} {blue}|{off}",
            f"{blue}{at.line} |{off} {shown}",
            f"{gutter} {blue}|{off} {' ' * start}{red}{'^' * length}{off}",
        ]
    lines += [
        f"{gutter} {blue}={off} {label}: {safe(text)}"
        for label, text in (("why", problem.why), ("help", problem.help))
        if text
    ]
    return "\n".join(lines)


def _excerpt(at: Place, width: int = 100) -> tuple[str, int, int]:
    """The source line, cut to `width` around the caret, with the caret's offset and length in terminal cells."""
    start = at.column - 1
    first = max(0, start - width // 2) if len(at.text) > width else 0
    end = min(start + max(1, at.length), first + width)
    parts = (at.text[first:start], at.text[start:end], at.text[end : first + width])
    clean = [safe(part.replace("\t", " ")) for part in parts]
    return "".join(clean).rstrip(), _cells(clean[0]), max(1, min(_cells(clean[1]), width // 2))


def _cells(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def out_of_memory(error: BaseException) -> Problem | None:
    """The refusal for memory that the system or the device did not give, with what was asked for; None otherwise."""
    said = safe(str(error), 300).partition("\n")[0]
    kinds = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if not kinds and "can't allocate memory" not in said:
        return None
    asked = re.search(r"allocate (\d[\d.]*) ?(bytes|[KMGT]i?B)", said)
    size = (
        f": {amount(int(asked[1])) if asked[2] == 'bytes' else f'{asked[1]} {asked[2]}'} were asked for"
        if asked
        else ""
    )
    return Problem(
        "out-of-memory",
        f"there is not enough memory{size}",
        why=said,
        help="a smaller `data.batch_size` needs less; `training.accumulate` keeps the size of the step",
    )


def amount(size: float) -> str:
    """A number of bytes as people say it: `512 bytes`, `1.5 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.4g} TB"
