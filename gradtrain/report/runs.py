"""The runs of a folder at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradtrain.problems import Problem
from gradtrain.storage.folder import RunFolder, runs_below
from gradtrain.storage.journal import read

HEAD = ("run", "state", "step", "best or last evaluation")


def overview(root: Path) -> list[dict[str, Any]]:
    """One record a run: its path, state, step, and the last value of every metric by split."""
    return [{"run": str(path), **_summary(path)} for path in runs_below(root)]


def _summary(path: Path) -> dict[str, Any]:
    status = RunFolder.open(path).status()
    results: dict[str, dict[str, Any]] = {}
    try:
        for line in read(path / "journal.jsonl"):
            if line.get("kind") == "evaluation":
                results[str(line.get("split"))] = {
                    k: v for k, v in line.get("metrics", {}).items() if isinstance(v, (int, float))
                }
    except Problem:
        pass
    return {"state": status.get("state", "unknown"), "step": status.get("step", 0), "results": results}


def row(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    """A record as a line of the table."""
    said = "  ".join(
        f"{split}: " + ", ".join(f"{name} {value:.4g}" for name, value in list(values.items())[:3])
        for split, values in entry["results"].items()
    )
    return entry["run"], str(entry["state"]), str(entry["step"]), said
