"""Tables of comma-separated values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gradtrain.components.datasets import Dataset, Examples
from gradtrain.components.datasets._files import FileName, resolve
from gradtrain.components.datasets._table import Table, is_number, one_character, read_table
from gradtrain.components.datasets._tensors import examples
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem, quote


class Csv(Dataset):
    """A table with a header line: number columns are inputs, one column is the target.

    shape     x float32 [features]; y class indices where the target column holds text or whole numbers, else
              float32 [1]
    note      UTF-8, with or without a byte-order mark. Classes written as text are numbered in alphabetical order;
              the order is stored with the run.
    """

    cases = [
        {"path": "table.csv", "target": "price"},
        {"path": "table.csv", "target": "kind", "features": ("a", "b"), "delimiter": ";"},
    ]

    path: FileName
    """The file, relative to where the command is started."""
    target: str
    """Column of the target."""
    features: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all"
    """Columns of the inputs, or `all` but the target."""
    delimiter: Annotated[str, AfterValidator(one_character)] = ","
    """What stands between two cells."""

    def load(self, base: Path) -> Examples:
        path = resolve(base, self.path)
        table = read_table(path, self.delimiter)
        goal = table.index(self.target)
        if self.features != "all" and self.target in self.features:
            what, why = f"the target {quote(self.target)} is an input too", "the answer would be given away"
            raise Problem("csv-columns", what, table.place(0, goal), why, "take it out of `features:`")
        names, x = self._inputs(table)
        y, labels = _target(table, goal)
        read = examples(x, y, (path,), labels)
        return replace(read, features=names, places=lambda number: table.place(number + 1, goal))

    def inputs(self, base: Path) -> Tensor:
        """The columns of `features` alone, [count, features] float32, from a table that may lack the target."""
        return self._inputs(read_table(resolve(base, self.path), self.delimiter))[1]

    def _inputs(self, table: Table) -> tuple[tuple[str, ...], Tensor]:
        names = self.features
        if names == "all":
            names = tuple(name for name in table.header if name != self.target)
            if "" in names:
                why = "it may be row numbers, which say nothing about the target"
                help = "give it a name, or name the columns to read in `features:`"
                place = table.place(0, table.index(""))
                raise Problem("csv-columns", f"column {table.index('') + 1} has no name", place, why, help)
            if not names:
                what = f"{quote(self.target)} is the only column"
                raise Problem("csv-columns", what, table.place(0), "there is nothing to predict it from")
        columns = [torch.tensor(table.numbers(table.index(name)), dtype=torch.float32) for name in names]
        return names, torch.stack(columns, dim=1)


def _target(table: Table, goal: int) -> tuple[Tensor, tuple[str, ...]]:
    """(targets, names of the classes where they are written as text)."""
    cells = [cell.strip() for cell in table.column(goal)]
    if "" in cells:
        raise table.not_a_number(cells.index(""), goal)
    numeric = [is_number(cell) for cell in cells]
    if not any(numeric):
        labels = tuple(sorted(set(cells)))
        numbers = {label: number for number, label in enumerate(labels)}
        return torch.tensor([numbers[cell] for cell in cells]), labels
    if not all(numeric):
        raise table.not_a_number(numeric.index(False), goal, "other targets in this column are numbers")
    values = table.numbers(goal)
    if all(value.is_integer() and abs(value) < 2**53 for value in values) and not any("." in cell for cell in cells):
        return torch.tensor(values, dtype=torch.float64).to(torch.int64), ()
    return torch.tensor(values, dtype=torch.float32), ()
