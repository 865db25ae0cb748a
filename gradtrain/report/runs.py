"""The runs of a folder at a glance."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from gradtrain.problems import Problem
from gradtrain.storage.folder import RunFolder, runs_below
from gradtrain.storage.journal import evaluations, read

HEAD = ("run", "state", "step", "best or last evaluation")


def overview(root: Path) -> list[dict[str, Any]]:
    """One record a run: its path, state, step, and the last value of every metric by split."""
    return [{"run": str(path), **_summary(path)} for path in runs_below(root)]


def _summary(path: Path) -> dict[str, Any]:
    status = RunFolder.open(path).status()
    results: dict[str, dict[str, float]] = {}
    with contextlib.suppress(Problem):
        for split, metrics in evaluations(read(path / "journal.jsonl")):
            results[split] = metrics
    return {"state": status.get("state", "unknown"), "step": status.get("step", 0), "results": results}


def row(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    """A record as a line of the table."""
    said = "  ".join(
        f"{split}: " + ", ".join(f"{name} {value:.4g}" for name, value in list(values.items())[:3])
        for split, values in entry["results"].items()
    )
    return entry["run"], str(entry["state"]), str(entry["step"]), said
