"""Runs side by side: settings that differ, results, and journals against a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradtrain.config.load import read as read_config
from gradtrain.problems import Place, Problem, quote
from gradtrain.storage.journal import evaluations
from gradtrain.storage.journal import read as read_journal

Line = dict[str, Any]
TIMES = ("seconds",)
"""Fields of a journal that no two runs share."""


def journal_of(path: Path) -> list[Line]:
    """The journal of a run folder, or a journal itself. Raises `Problem`."""
    found = path / "journal.jsonl" if path.is_dir() else path
    if not found.is_file():
        raise Problem(
            "not-a-run",
            f"{quote(str(path))} is neither a run's folder nor a journal",
            Place(str(path)),
            help="`gradtrain runs` lists the runs",
        )
    return list(read_journal(found))


def compared(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """One record a run: settings that differ between the runs, last results, last loss."""
    settings = [
        dict(flat(read_config(path / "config.yaml").resolved())) if (path / "config.yaml").is_file() else {}
        for path in runs
    ]
    keys = [
        key
        for key in dict.fromkeys(k for one in settings for k in one)
        if len({repr(one.get(key)) for one in settings}) > 1
    ]
    records = []
    for path, one in zip(runs, settings, strict=True):
        lines = journal_of(path)
        results = {f"{split}.{name}": value for split, metrics in evaluations(lines) for name, value in metrics.items()}
        steps = [line for line in lines if line.get("kind") == "step"]
        loss = steps[-1].get("loss") if steps else None
        last = {"step": steps[-1].get("step"), "loss.total": loss.get("total")} if isinstance(loss, dict) else {}
        records.append(
            {
                "run": str(path),
                "settings": {key: one.get(key) for key in keys},
                "results": {**last, **results},
            }
        )
    return records


def table(records: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """(head, rows): one column a run; settings that differ first, then results."""
    head = ["", *(record["run"] for record in records)]
    rows = []
    for part in ("settings", "results"):
        for key in dict.fromkeys(k for record in records for k in record[part]):
            rows.append([key, *(_said(record[part].get(key)) for record in records)])
    return head, rows


def differences(runs: Sequence[Path], tolerance: float) -> list[str]:
    """One line for every number of the first journal that another one has otherwise; tolerance 0 means bit for bit."""
    if len(runs) < 2:
        raise Problem(
            "missing-argument",
            "an assertion needs a baseline and at least one run",
            help="`gradtrain compare BASELINE RUN --assert-equal`",
        )
    base, *others = [_numbers(journal_of(path)) for path in runs]
    found = []
    for path, numbers in zip(runs[1:], others, strict=True):
        for key in dict.fromkeys([*base, *numbers]):
            one, two = base.get(key), numbers.get(key)
            if not _agree(one, two, tolerance):
                found.append(f"{path}: {key} is {_said(two)}, the baseline has {_said(one)}")
    return found


def _agree(one: Any, two: Any, tolerance: float) -> bool:
    if tolerance and isinstance(one, (int, float)) and isinstance(two, (int, float)):
        return math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance * 1e-3) or repr(one) == repr(two)
    return repr(one) == repr(two)


def _numbers(lines: Sequence[Line]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for line in lines:
        where = f"{line.get('kind')} {line.get('step')}" + (f" {line['split']}" if "split" in line else "")
        for key, value in flat({k: v for k, v in line.items() if k not in ("kind", "step", "split", *TIMES)}):
            result[f"{where} {key}"] = value
    return result


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from flat(item, f"{prefix}.{index}")
    else:
        yield prefix, value


def _said(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
