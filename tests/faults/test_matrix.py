"""Which test proves which row of the fault matrix: its name says so (`test_f07_…`), or its mark (`fault("F07")`)."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

NO_WORKERS = "batches are gathered in the process itself: there are no loader workers"
ABSENT = {"F11": NO_WORKERS, "F38": NO_WORKERS, "F39": NO_WORKERS, "F40": NO_WORKERS, "F41": NO_WORKERS}
"""Rows without a test, each with its reason. Those of several processes, F67 to F77, are none of a single one."""
PROVED = {f"F{n:02d}" for n in (*range(1, 67), *range(78, 81))} - ABSENT.keys()


def proofs() -> dict[str, list[str]]:
    """Row → the tests that prove it."""
    found = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for row in (*rows_of(node.name), *marked(node.decorator_list)):
                    found[row].append(f"{path.relative_to(TESTS)}::{node.name}")
    return found


def rows_of(name: str) -> list[str]:
    return [f"F{number}" for number in re.findall(r"(?<=_)f(\d\d)(?=_)", name)]


def marked(decorators: list[ast.expr]) -> list[str]:
    return [
        ast.literal_eval(row)
        for mark in decorators
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault"
        for row in mark.args
    ]


def test_every_row_has_its_test_or_its_reason() -> None:
    found = proofs()
    assert sorted(PROVED - found.keys()) == []
    assert sorted(ABSENT.keys() & found.keys()) == []


def test_marks_name_rows_that_there_are() -> None:
    assert sorted(row for row in proofs() if row not in {f"F{n:02d}" for n in range(1, 81)}) == []
