"""Tables of comma-separated values."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gradtrain.components.datasets import Dataset, Examples
from gradtrain.components.datasets._files import read_bytes, resolve
from gradtrain.components.datasets._tensors import examples
from gradtrain.lazy import torch
from gradtrain.problems import Place, Problem, did_you_mean, quote


class Csv(Dataset):
    """A table with a header line: number columns are inputs, one column is the target.

    shape     x float32 [features], y float32 [1], or class indices where the target column holds text
    note      Classes written as text are numbered in alphabetical order; the order is stored with the run.
    """

    cases = [{"path": "table.csv", "target": "price"}, {"path": "table.csv", "target": "kind", "features": ("a", "b"), "delimiter": ";"}]

    path: str
    """The file, relative to where the command is started."""
    target: str
    """Column of the target."""
    features: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all"
    """Columns of the inputs, or `all` but the target."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What stands between two cells."""

    def load(self, base: Path) -> Examples:
        path = resolve(base, self.path)
        header, rows, lines = self._table(path)
        names = [name for name in header if name != self.target] if self.features == "all" else list(self.features)
        columns = [self._column(header, name, path) for name in names]
        goal = self._column(header, self.target, path)
        x = torch.tensor([[_number(row[c], lines[i], header[c], path) for c in columns] for i, row in enumerate(rows)], dtype=torch.float64)
        cells = [row[goal].strip() for row in rows]
        labels: tuple[str, ...] = ()
        if all(_is_number(cell) for cell in cells):
            whole = all(float(cell).is_integer() for cell in cells)
            values = torch.tensor([_number(cell, lines[i], self.target, path) for i, cell in enumerate(cells)], dtype=torch.float64)
            y = values.long() if whole and all("." not in cell for cell in cells) else values.float()
        elif any(_is_number(cell) for cell in cells):
            first = next(i for i, cell in enumerate(cells) if not _is_number(cell))
            raise Problem("csv-number", f"{quote(cells[first])} in column {quote(self.target)} is not a number", Place(str(path), lines[first]), "the other targets are numbers")
        else:
            labels = tuple(sorted(set(cells)))
            y = torch.tensor([labels.index(cell) for cell in cells])
        return replace(examples(x.float(), y, (path,), labels), features=tuple(names))

    def _table(self, path: Path) -> tuple[list[str], list[list[str]], list[int]]:
        """(header, rows, line number of each row)."""
        data = read_bytes(path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Problem("data-encoding", f"byte 0x{data[error.start]:02x} at offset {error.start} of {quote(str(path))} is not UTF-8", Place(str(path)), help="save the table as UTF-8") from None
        reader = csv.reader(io.StringIO(text), delimiter=self.delimiter, strict=True)
        rows, lines = [], []
        try:
            header = [name.strip() for name in next(reader, [])]
            for row in reader:
                if row:
                    rows.append(row)
                    lines.append(reader.line_num)
        except csv.Error as error:
            raise Problem("data-format", f"{quote(str(path))} is not a table: {error}", Place(str(path), reader.line_num)) from None
        if doubled := [name for i, name in enumerate(header) if name in header[:i]]:
            raise Problem("csv-columns", f"the column {quote(doubled[0])} stands twice", Place(str(path), 1))
        if len(header) == 1 and any(mark in header[0] for mark in ";\t,|") and self.target not in header:
            mark = next(m for m in ";\t,|" if m in header[0])
            raise Problem("csv-columns", f"the header is one column: {quote(header[0])}", Place(str(path), 1), f"cells seem to be separated by {quote(mark)}", f"write `delimiter: \"{mark if mark != chr(9) else chr(92) + 't'}\"`")
        if not rows:
            raise Problem("data-empty", f"{quote(str(path))} has a header and no rows", Place(str(path)))
        for row, line in zip(rows, lines, strict=True):
            if len(row) != len(header):
                raise Problem("csv-ragged", f"line {line} has {len(row)} cells, the header {len(header)}", Place(str(path), line))
        return header, rows, lines

    def _column(self, header: list[str], name: str, path: Path) -> int:
        if name not in header:
            raise Problem("csv-columns", f"no column is called {quote(name)}", Place(str(path), 1), f"there are {', '.join(quote(h) for h in header[:12])}", did_you_mean(name, header))
        return header.index(name)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, line: int, column: str, path: Path) -> float:
    cell = cell.strip()
    if not cell:
        raise Problem("csv-number", f"line {line} has no value in column {quote(column)}", Place(str(path), line), help="fill or remove the row")
    if not _is_number(cell):
        comma = "write a decimal point" if cell.replace(",", "", 1).replace("-", "").isdigit() else ""
        raise Problem("csv-number", f"{quote(cell)} in column {quote(column)} is not a number", Place(str(path), line), "inputs are numbers", comma or "leave the column out with `features:`")
    value = float(cell)
    if not math.isfinite(value):
        raise Problem("input-not-finite", f"{quote(cell)} in column {quote(column)} is not a finite number", Place(str(path), line), help="fill or remove the row")
    return value
