"""What a run began with, and what is different now that it goes on: its config key by key, its data, its machine."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from gradtrain.assemble import Parts
from gradtrain.components.datasets import Examples, Facts
from gradtrain.config.load import Config
from gradtrain.config.overrides import names_component, reserved_words
from gradtrain.config.scalars import dump
from gradtrain.config.sections import Run
from gradtrain.config.tree import parse
from gradtrain.problems import Place, Problem, quote
from gradtrain.registry import Component, Record, Use
from gradtrain.storage.folder import RunFolder

RECORD = "environment.json"

UNFELT = re.compile(r"(gradtrain|name|logging|sampling|diagnostics)(\..*)?")
"""Keys that no weight, measurement or checkpoint depends on."""
ADJUSTED = re.compile(
    r"device|training\.(epochs|steps|clip_norm|clip_value|on_nonfinite(\..*)?)|schedule\..*|evaluation(\..*)?"
    r"|checkpoint\.(every|keep|allow_test_selection)|early_stopping(\.patience)?"
    r"|optimizers?(\.[^.]+)?(\.groups\.\d+)?\.(lr|lr_scale|weight_decay)"
)
"""Keys that are adjusted while a run is under way: how long, how fast, how often. Said as a warning."""
FIXED = re.compile(r"checkpoint\.(best|mode)|early_stopping\.(watch|mode)")
"""Keys that decide what a best value is: one that was found by another measure would be compared with the next."""
MACHINE = ("torch", "threads", "processor")

Steps = tuple[str, ...]
"""The way to a key, section first."""


def recorded(run: Run, parts: Parts, base: Path, config: Config) -> dict[str, Any]:
    """The contents of environment.json: versions, machine, config, and every data file as [bytes, mtime, sha256]."""
    return {
        "gradtrain": version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **_machine(),
        "device": str(parts.device),
        "seed": run.seed,
        "command": sys.argv,
        "directory": str(base),
        "config": config.resolved(),
        "labels": list(parts.labels),
        "data": _files(parts, base),
    }


def changes(
    folder: RunFolder, config: Config, run: Run, parts: Parts, step: int, *, allowed: Sequence[str], exact: bool
) -> list[Problem]:
    """Everything that is not as it was when the run began, as warnings; what needs a word from its user as errors.

    The run goes on from `step`. `allowed` are keys whose change is meant, with all keys below them; `exact` makes
    every change an error.
    """
    began = folder.read_json(RECORD)
    found = [_edited(config, *edit, allowed) for edit in _edits(began.get("config"), config, run, parts.source)]
    if step > parts.steps:
        what = f"the run would end at step {parts.steps:,}, its newest checkpoint is of step {step:,}"
        help = "let it train at least as long as it has"
        found.append(Problem("config-changed", what, _place(config, ("training",)), help=help))
    found += [*_other_machine(began), *_other_files(began, _files(parts, begun_in(folder)))]
    for problem in found:
        problem.severity = "error" if exact else problem.severity
    return found


def keep(folder: RunFolder, config: Config, step: int) -> None:
    """Write down that the run goes on with this config from `step` on, where the one before was another."""
    began, now = folder.read_json(RECORD), config.resolved()
    if isinstance(before := began.get("config"), dict) and before != now:
        edits = began.get("earlier")
        earlier = [*(edits if isinstance(edits, list) else []), {"until": step, "config": before}]
        folder.write(RECORD, json.dumps({**began, "config": now, "earlier": earlier}, indent=1) + "\n")


def begun_in(folder: RunFolder) -> Path:
    """Where the run's relative paths begin: where it was started, while that place exists."""
    said = folder.read_json(RECORD).get("directory")
    place = Path(said if isinstance(said, str) else ".")
    try:
        return place if place.is_dir() else Path.cwd()
    except OSError:  # a name that is too long, or lies where nobody may look
        return Path.cwd()


def classes_of(folder: RunFolder) -> list[str]:
    """The names of the run's classes, in the order of their numbers; empty where they have none."""
    labels = folder.read_json(RECORD).get("labels")
    return list(map(str, labels)) if isinstance(labels, list) else []


def numbered(examples: Examples, labels: Sequence[str]) -> Examples:
    """The examples with the classes of a run: the number of a class is what it was when the run began.

    Raises `Problem` (data) for a class that the run does not know.
    """
    if not labels or not examples.labels or examples.labels == tuple(labels):
        return examples
    if strange := [label for label in examples.labels if label not in labels]:
        raise Problem(
            "class-unknown",
            f"the data has a class {quote(strange[0])} that the run does not know",
            Place(str(examples.files[0])) if examples.files else None,
            f"it was trained on {', '.join(map(quote, labels[:10]))}{', …' if len(labels) > 10 else ''}",
            "bring the data back, or start a new run",
        )
    numbers = torch.tensor([labels.index(label) for label in examples.labels])
    known = {**examples.fields, "y": numbers[examples.fields["y"]]}
    facts = replace(examples.facts, classes=len(labels))
    return replace(examples, fields=known, facts=facts, labels=tuple(labels))


def version() -> str:
    """The version of gradtrain; `source` where it is not installed."""
    try:
        return metadata.version("gradtrain")
    except metadata.PackageNotFoundError:
        return "source"


def _edits(before: Any, config: Config, run: Run, facts: Facts) -> Iterator[tuple[Steps, Any, Any]]:
    """(key, value then, value now) of every edit that is felt: of what the config means, however it is written."""
    if isinstance(before, dict) and before != config.resolved():
        try:
            then = Config(RECORD, parse(dump(before), RECORD).root).run(facts)
        except (Problem, ExceptionGroup):
            return  # a record that is damaged, or of a gradtrain with other keys, says nothing
        for steps, old, new in _apart(_plain(then), _plain(run), ()):
            if not UNFELT.fullmatch(".".join(steps)):
                yield steps, old, new


def _plain(value: Any) -> Any:
    """A record as dictionaries and lists; the name of a component stands under the empty key."""
    if isinstance(value, Record):
        own = {name: _plain(getattr(value, name)) for name in type(value).model_fields if name != "part"}
        name = {"": value.name()} if isinstance(value, Component) else {}
        return {**name, **(_plain(value.part) or {} if isinstance(value, Use) else {}), **own}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _apart(then: Any, now: Any, steps: Steps) -> Iterator[tuple[Steps, Any, Any]]:
    if then == now:
        return
    if isinstance(then, dict) and isinstance(now, dict) and then.get("") == now.get(""):
        for key in dict.fromkeys([*then, *now]):
            yield from _apart(then.get(key), now.get(key), (*steps, key))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _apart(one, other, (*steps, str(index)))
    else:
        yield steps, then, now


def _edited(config: Config, steps: Steps, then: Any, now: Any, allowed: Sequence[str]) -> Problem:
    key = ".".join(steps)
    meant = any(key == one or key.startswith(f"{one}.") for one in allowed)
    why = "the run goes on as it is written now: no config trains it again from the beginning"
    help = "put back what was written, unless the change is meant"
    severity = "warning"
    if FIXED.fullmatch(key):
        severity, why = "error", "the best value so far was found by the old measure"
        help = "put back what was written, or start a new run"
    elif not meant and not ADJUSTED.fullmatch(key):
        severity, why = "error", "it would go on as another run than the one that began"
        help = f"put back what was written; if the change is meant, add `--allow-change {key}`"
    what = f"`{key}` was {_said(then)} when the run began and is {_said(now)} now"
    return Problem("config-changed", what, _place(config, steps), why, help, severity=severity)  # type: ignore[arg-type]


def _said(value: Any) -> str:
    """A value inside a sentence: scalars as they are, a component by its name, a list by its length."""
    if isinstance(value, dict):
        return quote(value[""]) if "" in value else "a mapping"
    if isinstance(value, list):
        return quote(value) if all(not isinstance(item, dict | list) for item in value) else f"a list of {len(value)}"
    return "absent" if value is None else quote(value)


def _place(config: Config, steps: Steps) -> Place:
    """Where a key stands, or what it would stand in; the names of components on the way are left out of `steps`."""
    node, at = config.root, Place(config.path)
    for step in steps:
        if node.mapping is not None and step not in node.mapping and names_component(node):
            node = next(item for key, item in node.mapping.items() if key not in reserved_words())
        if node.sequence is not None and step.isdigit() and int(step) < len(node.sequence):
            node = node.sequence[int(step)]
        elif node.mapping is not None and step in node.mapping:
            node = node.mapping[step]
        else:
            break
        at = node.at
    return at


def _machine() -> dict[str, Any]:
    """What the bits of a run depend on beside its config and data."""
    processor, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return {"torch": torch.__version__, "processor": processor, "threads": threads}


def _other_machine(began: dict[str, Any]) -> Iterator[Problem]:
    now = _machine()
    for key in MACHINE:
        if key in began and began[key] != now[key]:
            what = f"`{key}` was {quote(began[key])} when the run began and is {quote(now[key])} now"
            yield _elsewhere(what, "the run goes on, but not bit for bit as it would have")


def _files(parts: Parts, base: Path) -> dict[str, list[Any]]:
    """Data file → [bytes, time of its last change in ns, sha256]; below `base` by its relative path."""
    return {str(path.relative_to(base) if path.is_relative_to(base) else path): _file(path) for path in parts.files}


def _file(path: Path) -> list[Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        status = path.stat()
    return [status.st_size, status.st_mtime_ns, digest]


def _other_files(began: dict[str, Any], now: dict[str, list[Any]]) -> Iterator[Problem]:
    """The data files whose bytes are not what they were; a time alone does not count."""
    then = began.get("data")
    if not isinstance(then, dict):
        return
    for name in sorted(then.keys() | now.keys()):
        old, new = then.get(name), now.get(name)
        if old is None or new is None:
            how = "it was not read then" if old is None else "it is not read any more"
        elif not isinstance(old, list) or [type(part) for part in old] != [int, int, str] or old[2] == new[2]:
            continue
        else:
            how = f"it had {old[0]:,} bytes and has {new[0]:,}" if old[0] != new[0] else "it has other bytes"
        what = f"the data file {quote(name, 200)} is not what it was when the run began"
        yield _elsewhere(what, f"{how}; the run goes on, but not as it would have", Place(name))


def _elsewhere(what: str, why: str, at: Place | None = None) -> Problem:
    help = "resume it where it began, with the same data, when the bits matter"
    return Problem("environment-changed", what, at, why, help, severity="warning")
