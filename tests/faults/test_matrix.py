"""Which test proves which row of the fault matrix: `@pytest.mark.fault("F07")`."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

PROVED = {f"F{n:02d}" for n in (*range(1, 18), *range(23, 38), 49, *range(52, 55), *range(78, 81))} - {"F11"}
"""Rows about one process: kills, signals, the disk, locks, the environment."""

NO_WORKERS = "batches are gathered in the process itself: there are no loader workers"
ABSENT = {"F11": NO_WORKERS, "F38": NO_WORKERS, "F39": NO_WORKERS, "F40": NO_WORKERS, "F41": NO_WORKERS}
"""Rows without a test, each with its reason."""


def proofs() -> dict[str, list[str]]:
    """Row → the tests that bear its mark."""
    found = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                        for row in mark.args:
                            found[ast.literal_eval(row)].append(f"{path.relative_to(TESTS)}::{node.name}")
    return found


def test_every_row_has_its_test_or_its_reason() -> None:
    found = proofs()
    assert sorted(PROVED - found.keys()) == []
    assert sorted(ABSENT.keys() & found.keys()) == []


def test_marks_name_rows_that_there_are() -> None:
    assert sorted(row for row in proofs() if row not in {f"F{n:02d}" for n in range(1, 81)}) == []
