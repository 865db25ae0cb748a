"""The facts of a run in a few words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradtrain.report.display import clock
from gradtrain.report.page.groups import said
from gradtrain.report.page.recorded import Recorded

STATES = ("finished", "running", "interrupted", "failed")
UNTOLD = ("config", "data")
"""Entries of environment.json that are hashes for machines."""


def state(run: Recorded) -> str:
    """finished | running | interrupted | failed | unknown."""
    found = run.status.get("state")
    return found if found in STATES else "unknown"


def facts(run: Recorded) -> list[tuple[str, str]]:
    """(what, how much) for the cards at the top; what is not known is left out."""
    return [(what, value) for what, value in _facts(run) if value]


def _facts(run: Recorded) -> Iterator[tuple[str, str]]:
    history, flow, settings = run.history, run.flow, run.settings
    step = run.status.get("step")
    step = step if type(step) is int else history.step
    yield "Steps", f"{step:,}" + (f", epoch {history.epoch:,}" if history.epoch is not None else "")
    yield "Time", "" if history.seconds is None else clock(history.seconds)
    if flow is not None:
        count = sum(weight.count for weight in flow.parameters)
        yield "Parameters", f"{count:,} in {len(flow.parameters):,} tensors"
        yield "Data", ", ".join(fed.name for fed in flow.data if fed.kind in ("source", "windows"))
    yield "Batch size", said(settings["data.batch_size"]) if "data.batch_size" in settings else ""
    yield "Seed", said(run.environment["seed"]) if "seed" in run.environment else ""
    place = [str(run.environment[key]) for key in ("device", "processor") if key in run.environment]
    yield "Device", ", ".join([*place, str(settings.get("precision", "float32"))]) if place else ""
    best, at = run.memory.get("best"), run.memory.get("best_step")
    if isinstance(best, (int, float)) and type(at) is int:
        yield "Best", f"{settings.get('checkpoint.best', 'val.loss')} {best:.4g} at step {at:,}"
    started = run.status.get("started")
    yield "Started", str(started).replace("T", " ").replace("Z", " UTC") if isinstance(started, str) else ""


def environment(run: Recorded) -> list[tuple[str, str]]:
    """Where and with what the run was made."""
    found = [(name, _shown(value)) for name, value in run.environment.items() if name not in UNTOLD]
    data = run.environment.get("data")
    files = data.items() if isinstance(data, dict) else ()
    return found + [(f"data {name}", f"sha256 {_shown(value)[:16]}…") for name, value in files]


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else said(value)
