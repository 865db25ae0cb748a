"""What `gradtrain diagnose` shows: a check-up of a config before a long run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradtrain.config.load import read
from gradtrain.diagnostics.checkup import Diagnosis, examined
from gradtrain.explain import plain
from gradtrain.lazy import torch
from gradtrain.start import prepare


def diagnosed(path: Path, profile: str | None, overrides: Sequence[str], seconds: float = 30.0) -> Diagnosis:
    """What the first steps of a run say about the rest, in about so many seconds. Raises `Problem`s as training would.

    torch's generators are left as they were, and nothing is written.
    """
    began = time.perf_counter()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        run, parts, warnings = prepare(read(path, profile, overrides), Path.cwd())
        return examined(run, parts, warnings, max(1.0, seconds - (time.perf_counter() - began)))


def as_json(found: Diagnosis) -> dict[str, Any]:
    """The fields of a `Diagnosis` but its flow; numbers that are not finite are the texts `nan` and `inf`."""
    told = {field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.name != "flow"}
    told |= {name: dataclasses.asdict(told[name]) for name in ("cost", "sweep")}
    told["gradients"] = [dataclasses.asdict(update) for update in found.gradients]
    told["warnings"] = [problem.as_json() for problem in found.warnings]
    return plain(told)  # type: ignore[no-any-return]
