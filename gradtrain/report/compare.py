"""Runs side by side: settings that differ, results, and journals against a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradtrain.config.load import read as read_config
from gradtrain.problems import Place, Problem, quote
from gradtrain.storage.journal import evaluations, plain
from gradtrain.storage.journal import read as read_journal

Line = dict[str, Any]
BLOCKS = "▁▂▃▄▅▆▇█"
POINTS = 24
"""Points of a curve in the table."""
DECADES = 2.0
"""Where the curves of a row span more, their logarithms are drawn."""
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
    """One record a run: settings that differ between the runs, last results, last loss, curves of at most `POINTS`."""
    settings = [_settings(path / "config.yaml") for path in runs]
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
                "curves": curves(lines),
            }
        )
    return records


def _settings(config: Path) -> dict[str, Any]:
    """Every setting of a run by its path; none for a journal, nor for a link: a refusal would quote its target."""
    if config.is_symlink() or not config.is_file():
        return {}
    return {key: plain(value) for key, value in flat(read_config(config).resolved())}


def table(records: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """(head, rows): one column a run; settings that differ first, then results, then curves on one scale a row."""
    head = ["", *(record["run"] for record in records)]
    rows = []
    for part in ("settings", "results"):
        for key in dict.fromkeys(k for record in records for k in record[part]):
            rows.append([key, *(_said(record[part].get(key)) for record in records)])
    for key in dict.fromkeys(k for record in records for k in record["curves"]):
        rows.append([f"{key} over time", *sparklines([record["curves"].get(key, []) for record in records])])
    return head, rows


def curves(lines: Sequence[Line]) -> dict[str, list[float]]:
    """Name → the means of at most `POINTS` equal parts of a curve: the train loss, and what val measured."""
    found: dict[str, list[float]] = {}
    for line in lines:
        if line.get("kind") == "step" and isinstance(line.get("loss"), dict):
            found.setdefault("loss.total", []).append(_number(line["loss"].get("total")))
    for split, metrics in evaluations(lines):
        if split == "val":
            for name, value in metrics.items():
                found.setdefault(f"val.{name}", []).append(float(value))
    return {name: _coarse(values) for name, values in found.items() if len(values) > 1}


def _number(value: Any) -> float:
    fits = isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**53)
    return float(value) if fits else math.nan


def _coarse(values: list[float]) -> list[float]:
    count = min(POINTS, len(values))
    parts = [values[len(values) * i // count : len(values) * (i + 1) // count] for i in range(count)]
    return [sum(part) / len(part) for part in parts]


def sparklines(rows: Sequence[Sequence[float]]) -> list[str]:
    """Each curve as a line of blocks, all on one scale; `×` where there is no number, and nothing for no curve."""
    known = [value for row in rows for value in row if math.isfinite(value)]
    if not known:
        return ["×" * len(row) for row in rows]
    logarithmic = min(known) > 0 and math.log10(max(known) / min(known)) > DECADES
    scale = math.log10 if logarithmic else float
    low, high = scale(min(known)), scale(max(known))

    def block(value: float) -> str:
        if not math.isfinite(value):
            return "×"
        share = (scale(value) - low) / (high - low) if high > low else 0.5
        return BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))]

    return ["".join(map(block, row)) for row in rows]


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
