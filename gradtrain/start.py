"""Beginning, resuming and reopening runs: from a path to a running or a trained one."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from gradtrain.assemble import Parts, Warn, assemble, best, device_of, dtype_of, network_of, refuse_other, unheard
from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.objectives import Task
from gradtrain.config.checks import check
from gradtrain.config.load import Config, read
from gradtrain.config.scalars import dump
from gradtrain.config.sections import Run
from gradtrain.drawing import ready
from gradtrain.feed import facts_after, target_kind
from gradtrain.memory import kept
from gradtrain.problems import Place, Problem, quote, several
from gradtrain.provenance import begun_in, changes, classes_of, keep, numbered, recorded
from gradtrain.report.charts import display
from gradtrain.report.display import Display
from gradtrain.run import Outcome, execute
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.training import state
from gradtrain.training.evaluation import measure
from gradtrain.training.precision import warning
from gradtrain.training.samples import Pipeline
from gradtrain.training.stop import Stop

RUNS = Path("runs")
"""Where runs are kept, relative to where the command is started."""


def prepare(config: Config, base: Path, labels: Sequence[str] = ()) -> tuple[Run, Parts, list[Problem]]:
    """The validated run and its parts. Raises `Problem`s: configuration, data, resources.

    `base` is where relative paths of data begin; `labels` are the classes of a run that goes on, in their order.
    """
    data = config.data()
    config.run(data.source.facts(), check)  # what is wrong with the config is said before its data is read
    examples: Examples = numbered(data.source.load(base), labels)
    places: dict[int, Place] = {}

    def checked(run: Run, composer: Any, facts: Any) -> None:
        check(run, composer, facts)
        places.update({key: node.at for key, node in composer.places.items()})
        alive.append(composer)

    alive: list[Any] = []  # keeps the records alive whose ids `places` knows
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
    stop: Stop | None = None,
) -> Outcome:
    """Train a config from its beginning. Raises `Problem`s; `Interrupted` by a signal before the run has its folder."""
    with (stop or Stop()).listening() as stop:
        config = read(path, profile, overrides)
        if dry_run:
            with tempfile.TemporaryDirectory(prefix="gradtrain-") as temporary:
                return _dry(config, Path(temporary), shown or display(), stop)
        base = Path.cwd()
        run, parts, warnings = prepare(config, base)
        equipped(run)
        record = json.dumps(recorded(run, parts, base, config), indent=1) + "\n"
        with stop.patiently():
            place = RunFolder.create(folder) if folder is not None else RunFolder.next(RUNS, run.name)
            with place.lock():
                place.begin(record, dump(config.resolved()))
                return execute(run, parts, place, shown or display(), warnings, stop)


def equipped(run: Run) -> None:
    """Raises `Problem` where a run could not draw, or tell viewers, for want of a package: before it has a folder."""
    for logger in run.logging.to:
        logger.ready()
    if run.sampling:
        ready(run.objective.draws)


def _dry(config: Config, place: Path, shown: Display, stop: Stop) -> Outcome:
    run, parts, warnings = prepare(config, Path.cwd())
    parts.phases = [replace(parts.phases[0], end=1)]
    equipped(run)
    run = run.model_copy(update={"logging": run.logging.model_copy(update={"to": ()})})  # viewers keep what they hear
    with (folder := RunFolder.create(place / "run")).lock():
        return execute(run, parts, folder, shown, warnings, stop, limit=1)


def go_on(
    path: Path,
    *,
    allowed: Sequence[str] = (),
    exact: bool = False,
    shown: Display | None = None,
    stop: Stop | None = None,
) -> Outcome:
    """Resume a run. A finished one stays as it is. Raises `Problem`s; `Interrupted` by a signal before it goes on.

    `allowed` are keys of the config whose change is meant; `exact` refuses whatever could change a bit.
    """
    with (stop or Stop()).listening() as stop:
        folder = RunFolder.open(path)
        status = folder.status()
        if status.get("state") == "finished":
            print(f"{path}: already complete", file=sys.stderr)
            return Outcome("finished", "already complete", int(status.get("step", 0)))
        with folder.lock():
            killed = [_killed(folder)] if folder.status().get("state") == "running" else []
            config = read(folder.path / "config.yaml")
            made = checkpoint.steps(folder.checkpoints)
            done = max(made, default=0)
            run, parts, warnings = prepare(config, begun_in(folder), classes_of(folder))
            equipped(run)
            differences = changes(folder, config, run, parts, done, allowed=allowed, exact=exact)
            if errors := [problem for problem in differences if problem.severity == "error"]:
                raise several(errors, str(path))
            with stop.patiently():
                keep(folder, config, done)
                warnings = [*killed, *warnings, *differences]
                return execute(run, parts, folder, shown or display(), warnings, stop, resume=bool(made))


def _killed(folder: RunFolder) -> Problem:
    """What is said of a run whose last process could say nothing."""
    return Problem(
        "run-killed",
        "the last process of this run ended without a word",
        Place(str(folder.path)),
        "it was killed (often for want of memory), or the machine stopped",
        "nothing needs to be done: the run goes on from its newest checkpoint",
        severity="warning",
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


def reopen(path: Path, which: str = "best", warn: Warn = unheard) -> Trained:
    """The model of a run with its best weights (`best`), its newest (`last`) or those of a step. Raises `Problem`s."""
    folder = RunFolder.open(path)
    found = chosen(folder, which, warn)
    told = kept(found)
    facts = told.facts
    run = read(folder.path / "config.yaml").run(facts, check)
    device, dtype = device_of(run.device), dtype_of(run)
    seen = facts_after(facts, run.data)
    refuse_other(found, run, seen)
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
    task = run.objective.start(run.loss, told.kind, seen)
    return Trained(
        run,
        networks,
        Pipeline(run.data.transforms, fitted, dtype),
        task,
        told.kind,
        told.labels,
        told.features,
        facts,
        found.step,
        base,
    )


def measured(
    path: Path, split: str | None = None, which: str = "best", warn: Warn = unheard
) -> tuple[str, dict[str, Any]]:
    """(the split, metric → value) of a run's own data; by default of test, else val, else train. Raises `Problem`s."""
    folder = RunFolder.open(path)
    found = chosen(folder, which, warn)
    run, parts, _ = prepare(read(folder.path / "config.yaml"), begun_in(folder), kept(found).labels)
    split = split or next(name for name in ("test", "val", "train") if name in parts.splits)
    if split not in parts.splits:
        raise Problem(
            "no-split",
            f"this run has no split `{split}`",
            why=f"it has {', '.join(f'`{name}`' for name in parts.splits)}",
            help="name one of them with `--split`",
        )
    fit(found, parts.networks, run)
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


def chosen(folder: RunFolder, which: str, warn: Warn = unheard) -> checkpoint.Loaded:
    """The checkpoint that `--checkpoint` means. Raises `Problem`s."""
    if re.fullmatch(r"[0-9]{1,15}", which):
        return checkpoint.load(folder.checkpoints, int(which))
    if which not in ("best", "last"):
        raise Problem(
            "option-value",
            f"`--checkpoint` cannot be {quote(which)}",
            help="write `best`, `last` or the number of a step",
        )
    return best(folder, warn) if which == "best" else checkpoint.newest(folder.checkpoints, warn)


def fit(found: checkpoint.Loaded, networks: Mapping[str, nn.Module], run: Run) -> None:
    """Put a checkpoint's weights (or their average, as the run evaluates) into the networks. Raises `Problem`."""
    if lines := state.mismatches(found.tensors, networks):
        raise Problem(
            "checkpoint-model",
            "the checkpoint does not fit the model",
            Place(str(found.path)),
            "; ".join(lines[:10]),
            "put back the config that the run was made with, or name another checkpoint with `--checkpoint`",
        )
    state.restore_weights(found.tensors, networks, average=run.averaged)
