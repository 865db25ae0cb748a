"""A CSV file as columns of text, and where each cell stands in the file."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradtrain.components.datasets._files import named, read_bytes
from gradtrain.components.datasets._text import decoded
from gradtrain.problems import Place, Problem, did_you_mean, quote

MISSING = {"", "?", "-", "na", "n/a", "null", "none"}
"""What stands for a missing number, in any case."""

LARGEST = 3.4028234663852886e38
"""The largest finite float32."""

NUMBER = re.compile(
    r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*|\s*[+-]?(nan|inf|infinity)\s*", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True)
class Table:
    """The cells of a CSV file, unquoted, as they are written."""

    path: Path
    text: str
    delimiter: str
    header: list[str]
    rows: list[list[str]]
    lines: list[tuple[int, int]]
    """First and last line of the header and then of each row, from 1."""
    choice: str = "features"
    """The key of the config that names the columns to read, for advice."""

    def index(self, name: str) -> int:
        """The column of that name. Raises `Problem` (data)."""
        if name in self.header:
            return self.header.index(name)
        help = did_you_mean(name, self.header)
        if all(is_number(cell) for cell in self.header):
            help = "the first line holds numbers: give the columns names there"
        elif len(self.header) == 1 and (mark := next((m for m in ";\t|:," if m in self.header[0]), "")):
            shown = "\\t" if mark == "\t" else mark
            help = f'cells seem to be separated by {quote(mark)}: write `delimiter: "{shown}"`'
        why = f"there are {', '.join(quote(h) for h in self.header[:12])}{', …' if len(self.header) > 12 else ''}"
        raise Problem("csv-columns", f"no column is called {quote(name)}", self.place(0), why, help)

    def column(self, index: int) -> list[str]:
        return [row[index] for row in self.rows]

    def numbers(self, index: int) -> list[float]:
        """A column as numbers that fit float32. Raises `Problem` (data) for the first cell that is none."""
        cells = self.column(index)
        try:
            values = [float(cell) for cell in cells]
        except ValueError:
            raise self._no_number(index, cells) from None
        if any(not NUMBER.fullmatch(cell) for cell in cells):  # float() also reads 1_000 and other scripts' digits
            raise self._no_number(index, cells)
        wrong = [row for row, value in enumerate(values) if not abs(value) <= LARGEST]
        if wrong:
            what = f"{len(wrong):,} cells of column {quote(self.header[index])} are not finite"
            whole = ", ".join(f"line {self.lines[row + 1][0]}: {quote(cells[row].strip())}" for row in wrong[:5])
            why = f"the first are {whole}" + (
                "" if math.isinf(values[wrong[0]]) or math.isnan(values[wrong[0]]) else "; float32 ends at 3.4e38"
            )
            raise Problem("input-not-finite", what, self.place(wrong[0] + 1, index), why, "remove or fill these rows")
        return values

    def _no_number(self, index: int, cells: list[str]) -> Problem:
        row = next(row for row, cell in enumerate(cells) if not NUMBER.fullmatch(cell))
        return self.not_a_number(row, index)

    def not_a_number(self, row: int, index: int, why: str = "inputs are numbers") -> Problem:
        """The refusal of one cell: text, or nothing at all."""
        cell, name = self.rows[row][index].strip(), quote(self.header[index])
        place = self.place(row + 1, index)
        if cell.lower() in MISSING:
            empty = sum(one[index].strip().lower() in MISSING for one in self.rows)
            what = f"line {self.lines[row + 1][0]} has no value in column {name}"
            return Problem(
                "csv-missing",
                what,
                place,
                f"{empty:,} of {len(self.rows):,} rows have none there",
                "remove or fill these rows",
            )
        help = f"leave the column out: name the columns to read in `{self.choice}:`"
        if re.fullmatch(r"[+-]?\d+,\d+", cell):
            help = "write a decimal point"
        elif "_" in cell or re.fullmatch(r"[+-]?\d{1,3}([, ']\d{3})+", cell):
            help = "write the number without separators between its digits"
        return Problem("csv-number", f"{quote(cell)} in column {name} is not a number", place, why, help)

    def place(self, number: int, index: int | None = None) -> Place:
        """Where record `number` (0 is the header) or one of its cells stands, with the line for the caret."""
        first, last = self.lines[number]
        lines = self.text.split("\n")[first - 1 : last]
        if index is None:
            return Place(str(self.path), first, 1, len(lines[0]), lines[0])
        record = "\n".join(lines)
        start, end = spans(record, self.delimiter)[index]
        before = record[:start]
        line, column = before.count("\n"), start - (before.rfind("\n") + 1)
        return Place(str(self.path), first + line, column + 1, max(1, end - start), lines[line])


def read_table(path: Path, delimiter: str, choice: str = "features") -> Table:
    """Read a table: UTF-8, a header line, rows of equal length. Raises `Problem` (data)."""
    text = decoded(read_bytes(path), path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    lines: list[tuple[int, int]] = []
    before = 0
    try:
        for record in reader:
            if record:  # an empty line is no row
                records.append(record)
                lines.append((before + 1, reader.line_num))
            before = reader.line_num
    except csv.Error as error:
        help = "a cell that holds quotes is quoted, its quotes doubled"
        place = Place(str(path), reader.line_num)
        raise Problem("data-format", f"{named(path)} is not a table: {error}", place, "", help) from None
    if not records:
        raise Problem("data-empty", f"{named(path)} is empty", Place(str(path)), "it has no header and no rows")
    table = Table(path, text, delimiter, [name.strip() for name in records[0]], records[1:], lines, choice)
    _check(table)
    return table


def _check(table: Table) -> None:
    header, width = table.header, len(table.header)
    if doubled := [i for i, name in enumerate(header) if name in header[:i]]:
        what = f"the column {quote(header[doubled[0]])} stands twice"
        raise Problem(
            "csv-columns",
            what,
            table.place(0, doubled[0]),
            "columns are told apart by their names",
            "rename one of them",
        )
    if not table.rows:
        raise Problem("data-empty", f"{named(table.path)} has a header and no rows", table.place(0))
    if ragged := [row for row, cells in enumerate(table.rows) if len(cells) != width]:
        found, line = len(table.rows[ragged[0]]), table.lines[ragged[0] + 1][0]
        what = f"line {line} has {found} cells, the header has {width}"
        why = f"{len(ragged):,} of {len(table.rows):,} rows are like that"
        place = table.place(ragged[0] + 1, width if found > width else None)
        raise Problem(
            "csv-ragged", what, place, why, f"quote cells that hold {quote(table.delimiter)}, or fill the row"
        )


def is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell))


def spans(record: str, delimiter: str) -> Sequence[tuple[int, int]]:
    """(start, end) of every cell in the text of one record, quotes included."""
    found, start, place = [], 0, 0
    while place < len(record):
        if record[place] == '"' and place == start:
            place = closing(record, place)
        elif record[place] == delimiter:
            found.append((start, place))
            start = place + 1
        place += 1
    return [*found, (start, len(record))]


def closing(record: str, opening: int) -> int:
    """Where the quote that opens at `opening` closes; a doubled quote stands for itself."""
    place = record.find('"', opening + 1)
    while place >= 0 and record[place + 1 : place + 2] == '"':
        place = record.find('"', place + 2)
    return place if place >= 0 else len(record)


def one_character(delimiter: str) -> str:
    """A delimiter as a field takes it."""
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ValueError("a delimiter is one character, and no quote or line break")
    return delimiter
