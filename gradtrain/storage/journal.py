"""The journal: one JSON object a line, appended; a resume cuts it back to what its checkpoint knew."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gradtrain.problems import Place, Problem
from gradtrain.storage.files import open_regular, read_regular, refused

Line = dict[str, Any]


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(f"{text} is not a float64")


STRICT = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


class Journal:
    """An open journal. Numbers that are not finite are written as the texts "nan", "inf" and "-inf": JSON has none.

    A full disk does not stop a run: lines are left out, `warn` is told once, and the first line that fits again says
    how many are missing.
    """

    def __init__(
        self,
        path: Path,
        length: int = 0,
        warn: Callable[[Problem], None] = lambda problem: None,
        also: Callable[[Line], None] = lambda line: None,
    ) -> None:
        """Open for appending behind the first `length` bytes; what lies beyond them is cut off. Raises `Problem`.

        `also` is told every line that is written.
        """
        self.path, self.warn, self.also, self.missing = path, warn, also, 0
        self.descriptor = open_regular(path, os.O_RDWR | os.O_APPEND)
        try:
            self._cut(length)
        except OSError as error:
            self.close()
            raise refused(error, path) from None
        except Problem:
            self.close()
            raise

    def _cut(self, length: int) -> None:
        """Leave the first `length` bytes, which must be whole lines. Raises `Problem`, OSError."""
        size = self.length()
        if not 0 <= length <= size:
            what, why = f"has {size:,} bytes, its checkpoint knew {length:,}", "lines were lost outside of gradtrain"
        elif length and os.pread(self.descriptor, 1, length - 1) != b"\n":
            what, why = f"has no end of a line at byte {length:,}", "lines were changed outside of gradtrain"
        else:
            os.ftruncate(self.descriptor, length)
            return
        raise Problem(
            "journal-damaged",
            f"the journal {what}",
            Place(str(self.path)),
            why,
            "put the journal back, or start a new run",
        )

    def write(self, line: Line) -> None:
        """Append one line as a single write."""
        self.also(line)
        if self.missing:
            line = {**line, "missing_lines_before": self.missing}
        text = json.dumps(plain(line), ensure_ascii=False) + "\n"
        data = text.encode("utf-8", "backslashreplace")  # of a file's name, a lone surrogate becomes JSON's own \udcXX
        end = self.length()
        try:
            if os.write(self.descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, "short write")
        except OSError as error:
            if not self.missing:
                problem = refused(error, self.path)
                self.warn(
                    Problem(
                        "journal-gap",
                        problem.what,
                        problem.at,
                        "the run goes on without these lines",
                        problem.help,
                        severity="warning",
                    )
                )
            self.missing += 1
            try:
                os.ftruncate(self.descriptor, end)
            except OSError as error:  # half a line that stays would spoil the next one
                raise refused(error, self.path) from None
            return
        self.missing = 0

    def offset(self) -> int:
        """The length of the journal, with everything in it on the disk. Raises `Problem` (resources)."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            raise refused(error, self.path) from None
        return self.length()

    def length(self) -> int:
        return os.fstat(self.descriptor).st_size

    def close(self) -> None:
        """The last lines reach the disk before anybody says that the run is over."""
        with contextlib.suppress(OSError):
            os.fsync(self.descriptor)
        os.close(self.descriptor)


def read(path: Path) -> Iterator[Line]:
    """The lines of a journal; a half-written last one is left out. Raises `Problem` for one that is no JSON object."""
    try:
        data = read_regular(path)
    except OSError as error:
        raise Problem(
            "journal-damaged",
            f"cannot read the journal: {os.strerror(error.errno or 0).lower()}",
            Place(str(path)),
        ) from None
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            value = STRICT.decode(line.decode())
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield value
        elif number < len(lines):
            raise Problem(
                "journal-damaged",
                f"line {number} of the journal is not a JSON object",
                Place(str(path), number),
                help="remove the line",
            )


def evaluations(lines: Iterable[Line]) -> Iterator[tuple[str, dict[str, float]]]:
    """(split, metric → number) of every evaluation, in their order; what is no number of float64 is left out."""
    for line in lines:
        split, metrics = line.get("split"), line.get("metrics")
        if line.get("kind") == "evaluation" and isinstance(split, str) and isinstance(metrics, dict):
            yield split, {name: value for name, value in metrics.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**53)


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite as the texts "nan", "inf" and "-inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
