"""What `gradtrain explain` shows: the flow of differentiation of a config, and its sizes on one batch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradtrain.assemble import input_shape, network_of
from gradtrain.config.checks import check
from gradtrain.config.load import read
from gradtrain.feed import facts_after
from gradtrain.flow import Flow, flow_of
from gradtrain.gradients import Backward, measured
from gradtrain.lazy import torch
from gradtrain.problems import Problem
from gradtrain.start import prepare


@dataclass(frozen=True)
class Explained:
    """The flow of a config, what was measured of it, and what is doubtful about the config."""

    flow: Flow
    measured: tuple[Backward, ...]
    """One for each update; empty without a batch."""
    warnings: tuple[Problem, ...]

    def as_json(self) -> dict[str, Any]:
        """The fields of `Flow` and `warnings`; under `batch` null, or a list of `Backward`, one an update.

        Numbers that are not finite are the texts `nan` and `inf`.
        """
        batch = [dataclasses.asdict(update) for update in self.measured] or None
        for size in (size for update in batch or () for size in update["sizes"]):
            for pull in size["parameters"]:
                finite = pull["weight"] and pull["gradient"] is not None
                pull["ratio"] = pull["gradient"] / pull["weight"] if finite else None
        whole = {**dataclasses.asdict(self.flow), "warnings": [p.as_json() for p in self.warnings], "batch": batch}
        return plain(whole)  # type: ignore[no-any-return]


def explained(path: Path, profile: str | None, overrides: Sequence[str], *, batch: bool = False) -> Explained:
    """The flow of a config; without `batch` it reads data only where its facts need that. Raises `Problem`s.

    torch's generators are left as they were, and nothing is written.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        return _with_batch(path, profile, overrides) if batch else _without(path, profile, overrides)


def _without(path: Path, profile: str | None, overrides: Sequence[str]) -> Explained:
    config = read(path, profile, overrides)
    source = config.data().source
    facts = source.facts() or source.load(Path()).facts
    run = config.run(facts, check)
    seen = facts_after(facts, run.data)
    networks = {
        role: network_of(role, network, seen, torch.float32, torch.device("cpu"))
        for role, network in run.networks.items()
    }
    inputs = {role: input_shape(network, seen) for role, network in run.networks.items()}
    return Explained(flow_of(run, facts, networks, inputs), (), _warnings(config.warnings))


def _with_batch(path: Path, profile: str | None, overrides: Sequence[str]) -> Explained:
    run, parts, warnings = prepare(read(path, profile, overrides), Path.cwd())
    inputs = {role: input_shape(network, parts.facts) for role, network in run.networks.items()}
    flow = flow_of(run, parts.source, parts.networks, inputs)
    return Explained(flow, measured(parts, flow), _warnings(warnings))


def _warnings(found: Sequence[object]) -> tuple[Problem, ...]:
    return tuple(one for one in found if isinstance(one, Problem))


def plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
