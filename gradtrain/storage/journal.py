"""The journal: one JSON object a line, appended, cut back to a checkpoint's length on resume."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradtrain.problems import Place, Problem


class Journal:
    def __init__(self, path: Path, length: int = 0) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        os.ftruncate(self.descriptor, length)

    def write(self, line: dict[str, Any]) -> None:
        os.write(self.descriptor, (json.dumps(_plain(line)) + "\n").encode())

    def offset(self) -> int:
        os.fsync(self.descriptor)
        return os.fstat(self.descriptor).st_size

    def close(self) -> None:
        os.close(self.descriptor)


def read(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            if line:
                yield json.loads(line)
        except ValueError:
            if number == len(lines):
                return
            raise Problem("journal-damaged", f"line {number} of the journal is not JSON", Place(str(path), number)) from None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
