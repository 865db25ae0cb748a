"""From a source to batches: fields, kinds of target, splits, transforms, windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gradtrain.components.datasets import IGNORED, Examples, Facts
from gradtrain.components.datasets._targets import targets
from gradtrain.config.sections import Data, Run, Windows
from gradtrain.problems import Place, Problem
from gradtrain.training import doubts, windows
from gradtrain.training.batches import Batches
from gradtrain.training.groups import Balanced, Paired
from gradtrain.training.samples import Pipeline
from gradtrain.training.splits import split

Fields = dict[str, Tensor]

AT_LEAST = 512
"""Samples in a batch of an evaluation, where a training batch has fewer."""


@dataclass
class Feed:
    """Everything that networks read."""

    splits: Mapping[str, Batches]
    """Split name → its batches; `train` shuffles and augments, the others do not."""
    pipeline: Pipeline
    kind: str
    """The kind of target that losses and metrics see."""
    facts: Facts
    """Of the data as the network sees it."""
    warnings: list[Problem]
    """What looks wrong in the data, though it can train."""


def facts_after(facts: Facts, data: Data) -> Facts:
    """The facts as the network sees them: the input's shape and range after transforms, augmentation, windows."""
    shape, span = facts.shape, facts.range
    for use in data.transforms:
        if use.on == "x" and shape is not None:
            shape = use.part.output_shape(shape)
            span = use.part.span(*span) if span is not None else None
    for augmentation in data.augment:
        shape = augmentation.output_shape(shape) if shape is not None else None
    if data.windows is not None and shape is not None:
        shape = data.windows.shape(shape, facts.series)
    return replace(facts, shape=shape, range=span, series=facts.series and data.windows is None)


def target_kind(data: Data, facts: Facts | None) -> str | None:
    """The kind of target: as written, or as the source's facts say; None when neither does."""
    if data.target.kind is not None or facts is None:
        return data.target.kind
    return "class" if facts.classes is not None else "value" if facts.outputs is not None else None


def feed(run: Run, examples: Examples, dtype: torch.dtype, device: torch.device) -> Feed:
    """The batches of every split on `device`, their transforms fitted on the train split. Raises `Problem`s (data)."""
    try:
        return _feed(run, examples, dtype, device)
    except Problem as problem:
        if problem.at is None and len(examples.files) == 1:
            problem.at = Place(str(examples.files[0]))
        raise


def _feed(run: Run, examples: Examples, dtype: torch.dtype, device: torch.device) -> Feed:
    data, objective = run.data, run.objective
    kind = target_kind(data, examples.facts) or "value"
    fields = _fields(run, examples, kind)
    pieces, pipeline = _split(run, examples, fields, kind, dtype)
    warnings = _doubts(run, examples, pieces, kind)
    done = data.windows is not None or all(pipeline.fits(part) for part in pieces.values())
    laid = {name: pipeline.laid_out(part) if done else part for name, part in pieces.items()}
    batches: dict[str, Batches] = {}
    pipeline.to(device)
    for name, part in laid.items():
        cut, measured = _cut(data.windows, part, examples.facts, name)
        here = {field: tensor.to(device) for field, tensor in cut.items()}
        batches[name] = _batches(run, name, here, None if done else pipeline, examples)
        if measured is not None:
            batches[name].measured = {field: tensor.to(device) for field, tensor in measured.items()}
    return Feed(batches, pipeline, objective.kind or kind, facts_after(examples.facts, data), warnings)


def _doubts(run: Run, examples: Examples, pieces: Mapping[str, Fields], kind: str) -> list[Problem]:
    """Of samples that were read: made by a rule, they are what it makes.

    Moments of a series, nodes of a graph and points of a domain are no samples.
    """
    if not examples.files or examples.facts.series or examples.edges is not None or run.objective.fields is None:
        return []
    constant = doubts.constant_columns(pieces["train"]["x"], examples.features, examples.files)
    unseen = (
        doubts.unseen_classes(pieces, examples.labels, examples.files)
        if kind == "class" and run.objective.labelled
        else []
    )
    return [*constant, *unseen, *doubts.overlaps(pieces, examples.files)]


def _fields(run: Run, examples: Examples, kind: str) -> Fields:
    """The fields that the objective reads, labels as losses take them. Raises `Problem` for a missing one."""
    wanted = run.objective.fields
    if wanted is None:
        return dict(examples.fields)
    made = ("y",) if run.data.windows is not None else ()
    missing = [name for name in wanted if name not in examples.fields and name not in made]
    if missing:
        raise Problem(
            "field-missing",
            f"`{run.data.source.name()}` has no field `{missing[0]}`, which `{run.objective.name()}` reads",
            why=f"it has {', '.join(f'`{name}`' for name in examples.fields)}",
            help="cut a sequence by `data.windows`, or choose another source or objective",
        )
    fields = {name: examples.fields[name] for name in wanted if name not in made}
    if run.objective.labelled:
        y = fields["y"]
        known = y != IGNORED if examples.edges is not None else torch.ones(len(y), dtype=torch.bool)
        numbers, places = known.nonzero().flatten(), examples.places

        def place(number: int) -> Place | None:
            return places(int(numbers[number])) if places is not None else None

        fields["y"] = _filled(targets(y[known], kind, examples.facts, examples.labels, place), known)
    return fields


def _split(
    run: Run, examples: Examples, fields: Fields, kind: str, dtype: torch.dtype
) -> tuple[dict[str, Fields], Pipeline]:
    """(split → its fields as they are stored, the transforms as the train split taught them)."""
    data = run.data
    if run.objective.fields is None:
        pieces = {"train": fields}
        return pieces, Pipeline.fit(data.transforms, fields, dtype)
    labels = fields.get("y", examples.fields.get("y")) if kind == "class" and data.split.stratify else None
    sizes = {"train": data.split.train, "val": data.split.val, "test": data.split.test}
    seed = run.seed if data.split.seed is None else data.split.seed
    in_order = (data.split.order or ("contiguous" if examples.facts.series else "random")) == "contiguous"
    count = len(next(iter(fields.values())))
    indices = split(count, sizes, examples.splits, labels, seed, in_order)
    pieces = {name: {key: tensor[index] for key, tensor in fields.items()} for name, index in indices.items()}
    pipeline = Pipeline.fit(data.transforms, pieces["train"], dtype)
    if examples.edges is not None:  # every split sees the whole graph, and answers for its own nodes
        pieces = {name: {**fields, "y": _masked(fields["y"], index)} for name, index in indices.items()}
    return pieces, pipeline


def _filled(y: Tensor, known: Tensor) -> Tensor:
    """Targets in the places where they are known; `IGNORED` elsewhere: a graph may have nodes without a label."""
    if bool(known.all()):
        return y
    whole = torch.full((len(known), *y.shape[1:]), IGNORED, dtype=y.dtype)
    whole[known] = y
    return whole


def _masked(y: Tensor, index: Tensor) -> Tensor:
    masked = torch.full_like(y, IGNORED)
    masked[index] = y[index]
    return masked


def _cut(section: Windows | None, fields: Fields, facts: Facts, name: str) -> tuple[Fields, Fields | None]:
    """(the windows that train, those that are measured where they differ)."""
    if section is None:
        return fields, None
    x = fields["x"]
    predict = None if section.predict == "next" else section.predict
    length = None if section.length == "all" else section.length
    side_by_side = length or x.shape[1]
    step = 1 if section.start == "random" else side_by_side if section.start == "stream" else section.start
    if not facts.series or length is None:
        return windows.of_rows(x, length, step, predict), None
    symbols = facts.vocab is not None and predict is None
    measured = windows.covering(x, length) if symbols else None
    if section.start == "stream":
        return windows.of_series(x, length, step, predict), None
    return windows.of_series(x, length, step if name == "train" else 1, predict), measured


def _batches(run: Run, name: str, fields: Fields, prepare: Pipeline | None, examples: Examples) -> Batches:
    """The batches of a split; only those of `train` are shuffled and augmented."""
    data = run.data
    count = max(len(tensor) for tensor in fields.values())
    stream = data.windows is not None and data.windows.start == "stream"
    size = count if data.batch_size == "full" else min(data.batch_size, count)
    if name != "train":
        size = count if data.batch_size == "full" else size if stream else max(size, AT_LEAST)
        common: dict[str, Any] = {"shuffle": False, "prepare": prepare, "stream": stream}
        if data.pairs is not None:
            return Paired(fields, size, run.seed, positive=data.pairs.positive, **common)
        return Batches(fields, size, run.seed, **common)
    moved = data.shuffle and not stream and examples.edges is None and run.objective.fields is not None
    options: dict[str, Any] = {
        "shuffle": moved,
        "drop_last": data.drop_last,
        "prepare": prepare,
        "augment": data.augment,
    }
    size *= run.training.accumulate
    if data.balanced is not None:
        chosen = data.balanced
        options |= {"classes": chosen.classes, "per_class": chosen.per_class, "accumulate": run.training.accumulate}
        return Balanced(fields, size, run.seed, **options)
    if data.pairs is not None:
        return Paired(fields, size, run.seed, positive=data.pairs.positive, **options)
    return Batches(fields, size, run.seed, stream=stream, **options)
