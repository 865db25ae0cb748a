"""A table that any program reads."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping

from gradtrain.components.loggers import Header, Log, Logger

COLUMNS = ["step", "name", "value"]


class Csv(Logger):
    """The numbers as rows of step, name and value, in the run's file `metrics.csv`.

    note      One number a row, so that the columns stay the same whatever is measured later. After a resume, rows
              beyond the checkpoint are cut off and written again.
    """

    def open(self, header: Header) -> Log:
        return _Rows(header)


class _Rows(Log):
    def __init__(self, header: Header) -> None:
        path = header.folder / "metrics.csv"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        self.file = open(descriptor, "r+", encoding="utf-8", newline="")  # noqa: SIM115
        known = [row for row in csv.reader(self.file) if len(row) == 3 and row[0].isdigit() and row[2]]
        kept = [row for row in known if int(row[0]) <= header.start]
        self.file.seek(0)
        self.file.truncate()
        self.rows = csv.writer(self.file)
        self.rows.writerows([COLUMNS, *kept])

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.rows.writerows([step, name, repr(value)] for name, value in values.items())

    def flush(self) -> None:
        self.file.flush()

    def close(self, state: str) -> None:
        self.file.close()
