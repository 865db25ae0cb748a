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
    folder = RunFolder.open(path)
    state, status = folder.state(), folder.status()
    step = status.get("step", 0)
    unsaid = state in ("running", "killed")  # the status was written when the process began
    results: dict[str, dict[str, float]] = {}
    with contextlib.suppress(Problem):
        for line in read(folder.journal):
            step = line.get("step", step) if unsaid else step
            results |= evaluations([line])
    return {"state": state, "step": step, "results": results}


def row(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    """A record as a line of the table."""
    said = "  ".join(
        f"{split}: " + ", ".join(f"{name} {value:.4g}" for name, value in list(values.items())[:3])
        for split, values in entry["results"].items()
    )
    return entry["run"], str(entry["state"]), str(entry["step"]), said
