"""Tables of measurements over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._files import FileName, resolve
from gradtrain.components.datasets._table import one_character, read_table
from gradtrain.lazy import torch


def _different(columns: tuple[str, ...]) -> tuple[str, ...]:
    doubled = next((name for number, name in enumerate(columns) if name in columns[:number]), None)
    if doubled is not None:
        raise ValueError(f"the column `{doubled}` stands twice in `columns`")
    return columns


class CsvSeries(Dataset):
    """A table whose rows follow one another in time, for `data.windows` to cut into samples.

    shape     x float32 [rows, columns], a series; there is no y: what a window predicts comes after it
    note      Rows stand in the order of time, at equal distances; the time itself is no column to read.
    """

    cases = [{"path": "weather.csv"}, {"path": "weather.csv", "columns": ("wind", "rain"), "delimiter": ";"}]

    path: FileName
    """The file, relative to where the command is started."""
    columns: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_different)] = "all"
    """Columns to read."""
    delimiter: Annotated[str, AfterValidator(one_character)] = ","
    """What stands between two cells."""

    def load(self, base: Path) -> Examples:
        path = resolve(base, self.path)
        table = read_table(path, self.delimiter, "columns")
        names = tuple(table.header) if self.columns == "all" else self.columns
        columns = [torch.tensor(table.numbers(table.index(name)), dtype=torch.float32) for name in names]
        x = torch.stack(columns, dim=1)
        facts = Facts(count=len(x), shape=(len(names),), range=(float(x.min()), float(x.max())), series=True)
        return Examples({"x": x}, facts, features=names, files=(path,))
