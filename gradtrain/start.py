"""Beginning, resuming and reopening runs: from a path to a running or a trained one."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradtrain.assemble import Parts, assemble, best, device_of, dtype_of, facts_from, network_of
from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.objectives import Task
from gradtrain.config.checks import check
from gradtrain.config.load import Config, read
from gradtrain.config.scalars import dump
from gradtrain.config.sections import Run
from gradtrain.feed import facts_after, target_kind
from gradtrain.problems import Place, Problem, quote, safe
from gradtrain.report.charts import display
from gradtrain.report.display import Display
from gradtrain.run import Outcome, execute
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.training import state
from gradtrain.training.evaluation import measure
from gradtrain.training.precision import warning
from gradtrain.training.samples import Pipeline

UNFELT = ("name", "logging")
"""Sections of a config that no weight depends on."""
RUNS = Path("runs")
"""Where runs are kept, relative to where the command is started."""


def prepare(config: Config, base: Path) -> tuple[Run, Parts, list[Problem]]:
    """The validated run and its parts. Raises `Problem`s: configuration, data, resources.

    `base` is where relative paths of data begin.
    """
    data = config.data()
    config.run(data.source.facts(), check)  # what is wrong with the config is said before its data is read
    examples: Examples = data.source.load(base)
    places: dict[int, Place] = {}

    def checked(run: Run, composer: Any, facts: Any) -> None:
        check(run, composer, facts)
        places.update({key: node.at for key, node in composer.places.items()})
        kept.append(composer)

    kept: list[Any] = []  # keeps the records alive whose ids `places` knows
    config.warnings.clear()
    run = config.run(examples.facts, checked)
    if run.objective.labelled and target_kind(run.data, examples.facts) is None:
        raise Problem(
            "missing-key",
            "the kind of target is not known",
            Place(config.path),
            "this source does not say what its targets are",
            "add `target: {kind: class}` (or value, binary, …) under `data:`",
        )
    device = device_of(run.device)
    warnings = [*config.warnings, *([found] if (found := warning(run.precision, device)) else [])]
    parts = assemble(run, examples, lambda record: places.get(id(record)), device, base)
    return run, parts, [*warnings, *parts.warnings]


def start(
    path: Path,
    *,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    folder: Path | None = None,
    dry_run: bool = False,
    shown: Display | None = None,
) -> Outcome:
    """Train a config from its beginning. Raises `Problem`s."""
    config = read(path, profile, overrides)
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="gradtrain-") as temporary:
            return _dry(config, Path(temporary), shown or display())
    base = Path.cwd()
    run, parts, warnings = prepare(config, base)
    kept = RunFolder.create(folder) if folder is not None else RunFolder.next(RUNS, run.name)
    with kept.lock():
        kept.write("environment.json", json.dumps(_environment(run, parts, base, config), indent=1) + "\n")
        kept.write("config.yaml", dump(config.resolved()))  # last: a folder that holds it can be resumed
        return execute(run, parts, kept, shown or display(), warnings)


def _dry(config: Config, place: Path, shown: Display) -> Outcome:
    run, parts, warnings = prepare(config, Path.cwd())
    parts.phases = [replace(parts.phases[0], end=1)]
    with (folder := RunFolder.create(place / "run")).lock():
        return execute(run, parts, folder, shown, warnings, limit=1)


def go_on(path: Path, *, shown: Display | None = None) -> Outcome:
    """Resume a run. A finished one stays as it is. Raises `Problem`s."""
    folder = RunFolder.open(path)
    status = folder.status()
    if status.get("state") == "finished":
        print(f"{path}: already complete", file=sys.stderr)
        return Outcome("finished", "already complete", int(status.get("step", 0)))
    with folder.lock():
        base = begun_in(folder)
        config = read(folder.path / "config.yaml")
        run, parts, warnings = prepare(config, base)
        fresh = not checkpoint.steps(folder.checkpoints)
        return execute(
            run,
            parts,
            folder,
            shown or display(),
            warnings + _edited(folder, config) + _changed(folder, run, parts, config),
            resume=not fresh,
        )


@dataclass
class Trained:
    """A trained model, opened for use without the data that trained it."""

    run: Run
    networks: Mapping[str, nn.Module]
    pipeline: Pipeline
    task: Task
    kind: str
    labels: tuple[str, ...]
    features: tuple[str, ...]
    facts: Facts
    """Of the data as it was stored."""
    step: int
    base: Path
    """Where the relative paths of the run's data begin."""


def reopen(path: Path, which: str = "best") -> Trained:
    """The model of a run with its best weights (`best`), its newest (`last`) or those of a step. Raises `Problem`s."""
    folder = RunFolder.open(path)
    found = chosen(folder, which)
    facts = facts_from(found.facts["facts"])
    run = read(folder.path / "config.yaml").run(facts)
    device, dtype = device_of(run.device), dtype_of(run)
    seen = facts_after(facts, run.data)
    base = begun_in(folder)
    networks = {role: network_of(role, network, seen, dtype, device, base) for role, network in run.networks.items()}
    fit(found, networks, run)
    fitted = [
        {
            name.split(".", 2)[2]: value.to(device)
            for name, value in found.tensors.items()
            if name.startswith(f"transform.{i}.")
        }
        for i in range(len(run.data.transforms))
    ]
    task = run.objective.start(run.loss, found.facts["kind"], seen)
    return Trained(
        run,
        networks,
        Pipeline(run.data.transforms, fitted, dtype),
        task,
        found.facts["kind"],
        tuple(found.facts["labels"]),
        tuple(found.facts["features"]),
        facts,
        found.step,
        base,
    )


def measured(path: Path, split: str | None = None, which: str = "best") -> tuple[str, dict[str, Any]]:
    """(the split, metric → value) of a run's own data; by default of test, else val, else train. Raises `Problem`s."""
    folder = RunFolder.open(path)
    run, parts, _ = prepare(read(folder.path / "config.yaml"), begun_in(folder))
    split = split or next(name for name in ("test", "val", "train") if name in parts.splits)
    if split not in parts.splits:
        raise Problem(
            "no-split",
            f"this run has no split `{split}`",
            why=f"it has {', '.join(f'`{name}`' for name in parts.splits)}",
            help="name one of them with `--split`",
        )
    fit(chosen(folder, which), parts.networks, run)
    values = measure(
        parts.task,
        parts.networks,
        parts.splits[split],
        parts.metrics,
        parts.kind,
        parts.facts,
        parts.precision,
    )
    return split, values


def chosen(folder: RunFolder, which: str) -> checkpoint.Loaded:
    """The checkpoint that `--checkpoint` means. Raises `Problem`s."""
    if which.isdigit():
        return checkpoint.load(folder.checkpoints, int(which))
    if which not in ("best", "last"):
        raise Problem(
            "option-value",
            f"`--checkpoint` cannot be {quote(which)}",
            help="write `best`, `last` or the number of a step",
        )
    return best(folder) if which == "best" else checkpoint.newest(folder.checkpoints)


def fit(found: checkpoint.Loaded, networks: Mapping[str, nn.Module], run: Run) -> None:
    """Put a checkpoint's weights (or their average, as the run evaluates) into the networks. Raises `Problem`."""
    if lines := state.mismatches(found.tensors, networks):
        raise Problem(
            "checkpoint-model",
            "the checkpoint was made by another model",
            Place(str(found.path)),
            "; ".join(lines[:10]),
        )
    state.restore_weights(found.tensors, networks, average=run.averaged)


def begun_in(folder: RunFolder) -> Path:
    """Where the run's relative paths begin: where it was started, while that place exists."""
    recorded = Path(str(folder.read_json("environment.json").get("directory", ".")))
    return recorded if recorded.is_dir() else Path.cwd()


def _environment(run: Run, parts: Parts, base: Path, config: Config) -> dict[str, Any]:
    return {
        "gradtrain": _version(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": str(parts.device),
        "seed": run.seed,
        "command": sys.argv,
        "directory": str(base),
        "config": _sections(config),
        "data": {str(path): _hash(path) for path in parts.files},
    }


def _sections(config: Config) -> dict[str, str]:
    """Section → hash of what it says, however it is written."""
    said = {name: json.dumps(value, sort_keys=True) for name, value in config.resolved().items()}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in said.items()}


def _edited(folder: RunFolder, config: Config) -> list[Problem]:
    """The sections of the run's config that say something else than when it began, each where it stands."""
    then, now = folder.read_json("environment.json").get("config"), _sections(config)
    if not isinstance(then, dict):
        return []
    sections = config.root.mapping or {}
    return [
        Problem(
            "config-changed",
            f"`{safe(name)}` is not what it was when the run began",
            sections[name].at if name in sections else Place(config.path),
            "the run goes on as it is written now: no config trains it again from the beginning",
            "put back what was written, unless the change is meant",
            severity="warning",
        )
        for name in sorted(then.keys() | now.keys(), key=lambda name: sections[name].at.line if name in sections else 0)
        if then.get(name) != now.get(name) and name not in UNFELT
    ]


def _changed(folder: RunFolder, run: Run, parts: Parts, config: Config) -> list[Problem]:
    """What is different now from when the run began, and may change its bits."""
    then = folder.read_json("environment.json")
    now = _environment(run, parts, Path.cwd(), config)
    warnings = []
    for key in ("torch", "threads", "processor", "data"):
        if key in then and then[key] != now[key]:
            what = (
                "the data files have changed"
                if key == "data"
                else f"`{key}` was {then[key]} when the run began and is {now[key]} now"
            )
            warnings.append(
                Problem(
                    "environment-changed",
                    what,
                    why="the run goes on, but not bit for bit as it would have",
                    severity="warning",
                )
            )
    return warnings


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _version() -> str:
    try:
        return metadata.version("gradtrain")
    except metadata.PackageNotFoundError:
        return "source"
