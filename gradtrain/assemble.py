"""From a validated `Run` to the parts that train: networks, data, objective, penalties, updates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.datasets._targets import targets
from gradtrain.components.layers import Layers
from gradtrain.components.layers._chain import build
from gradtrain.components.metrics import Metric
from gradtrain.components.objectives import Task
from gradtrain.config.sections import Data, Group, Init, Network, Run
from gradtrain.problems import Place, Problem, quote
from gradtrain.stage import Shape
from gradtrain.training.batches import Batches
from gradtrain.training.parallel import Parallel
from gradtrain.training.penalties import Applied, Penalties
from gradtrain.training.precision import Precision, precision
from gradtrain.training.samples import Pipeline
from gradtrain.training.schedule import LearningRate
from gradtrain.training.selectors import Named, Selector, describe, parameters, select
from gradtrain.training.splits import split
from gradtrain.training.update import Update

Locate = Callable[[object], Place | None]
"""A record of the config → where it was written."""


@dataclass
class Parts:
    """Everything a run trains with."""

    networks: Mapping[str, nn.Module]
    task: Task
    penalties: Penalties
    updates: Sequence[Update]
    rate: LearningRate
    splits: Mapping[str, Batches]
    """Split name → its batches; `train` shuffles and augments, the others do not."""
    pipeline: Pipeline
    precision: Precision
    parallel: Parallel
    device: torch.device
    source: Facts
    """Of the data as it is stored."""
    facts: Facts
    """Of the data as the network sees it."""
    features: tuple[str, ...]
    kind: str
    labels: tuple[str, ...]
    files: tuple[Path, ...]
    steps: int
    per_epoch: int
    metrics: Sequence[Metric]
    parameters: Sequence[Named]


def open_data(data: Data, base: Path) -> Examples:
    """Read the source. Raises `Problem` (data)."""
    return data.source.load(base)


def facts_after(facts: Facts, data: Data) -> Facts:
    """The facts as the network sees them: the input's shape and range after transforms and augmentation."""
    shape, span = facts.shape, facts.range
    for use in data.transforms:
        if use.on == "x" and shape is not None:
            shape = use.part.output_shape(shape)
            span = use.part.span(*span) if span is not None else None
    for augmentation in data.augment:
        shape = augmentation.output_shape(shape) if shape is not None else None
    return replace(facts, shape=shape, range=span)


def target_kind(data: Data, facts: Facts | None) -> str | None:
    """The kind of target: as written, or as the source's facts say; None when neither does."""
    if data.target.kind is not None or facts is None:
        return data.target.kind
    return "class" if facts.classes is not None else "value" if facts.outputs is not None else None


def stages(network: Network) -> Layers:
    """The layers of a network, whichever way it was written."""
    return network.part.layers() if network.part is not None else network.layers or ()


def assemble(run: Run, examples: Examples, locate: Locate, device: torch.device) -> Parts:
    """Build every part on `device`, seeded. Raises `Problem`s: data, selectors that match nothing."""
    numbers = dtype_of(run)
    arithmetic = precision(run.precision, device)
    kind = target_kind(run.data, examples.facts) or "value"
    done, splits, pipeline = _samples(run, examples, kind, numbers, device)
    facts = facts_after(examples.facts, run.data)

    for metric in run.evaluation.metrics:
        if metric.name() != "loss":
            metric.start(kind, facts)  # a missing library shows now, not at the first evaluation

    torch.manual_seed(run.seed)
    networks = {role: network_of(network, facts, numbers, device) for role, network in run.networks.items()}
    named = parameters(networks)
    _initialise(run, networks, named, locate)

    size = len(splits["train"]["x"])
    batch = size if run.data.batch_size == "full" else min(run.data.batch_size, size)
    batches = {name: _batches(run, name, part, done, pipeline, batch) for name, part in splits.items()}
    per_epoch = batches["train"].per_epoch
    steps = run.training.steps or (run.training.epochs or 1) * per_epoch

    updates = _updates(run, named, locate)
    owners = {update.name: [n for n in named if any(n.tensor is p for p in update.parameters)] for update in updates}
    rule = next(iter(run.rules.values())).part
    by = (run.schedule.by or "step") if run.schedule else "step"
    return Parts(
        networks=networks,
        task=run.objective.start(run.loss, kind, facts),
        penalties=Penalties(_penalties(run, named, locate), owners),
        updates=updates,
        rate=LearningRate(run.schedule.part if run.schedule else None, by, rule.lr, steps, per_epoch),
        splits=batches,
        pipeline=pipeline,
        precision=arithmetic,
        parallel=Parallel(),
        device=device,
        source=examples.facts,
        facts=facts,
        features=examples.features,
        kind=kind,
        labels=examples.labels,
        files=examples.files,
        steps=steps,
        per_epoch=per_epoch,
        metrics=run.evaluation.metrics,
        parameters=named,
    )


def dtype_of(run: Run) -> torch.dtype:
    """The dtype of the weights: float64 where the config asks for it, else float32, also under mixed precision."""
    return torch.float64 if run.precision == "float64" else torch.float32


def device_of(name: str) -> torch.device:
    """The device that a config's `device:` means here. Raises `Problem` (resources) when it is absent."""
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    device = torch.device(name)
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present[device.type]:
        raise Problem(
            "device-missing",
            f"this machine has no device `{name}`",
            help="write `device: auto` or `device: cpu`",
        )
    return device


def _samples(
    run: Run, examples: Examples, kind: str, dtype: torch.dtype, device: torch.device
) -> tuple[bool, dict[str, dict[str, Tensor]], Pipeline]:
    """(whether the transforms are done, split → fields, the fitted transforms)."""
    data = run.data
    y = targets(examples.fields["y"], kind, examples.facts, examples.labels)
    labels = y if kind == "class" and data.split.stratify else None
    sizes = {"train": data.split.train, "val": data.split.val, "test": data.split.test}
    seed = run.seed if data.split.seed is None else data.split.seed
    indices = split(len(y), sizes, examples.splits, labels, seed)
    raw = {name: {"x": examples.fields["x"][index], "y": y[index]} for name, index in indices.items()}
    pipeline = Pipeline.fit(data.transforms, raw["train"], dtype)
    laid = {name: pipeline.laid_out(fields) for name, fields in raw.items()}
    done = all(flag for _, flag in laid.values())
    pipeline.to(device)
    return (
        done,
        {
            name: {key: t.to(device) for key, t in (fields if done else raw[name]).items()}
            for name, (fields, _) in laid.items()
        },
        pipeline,
    )


def _batches(run: Run, name: str, fields: dict[str, Tensor], done: bool, pipeline: Pipeline, size: int) -> Batches:
    prepare = None if done else pipeline
    if name != "train":
        return Batches(fields, max(size, 512), run.seed, shuffle=False, prepare=prepare)
    return Batches(
        fields,
        size * run.training.accumulate,
        run.seed,
        run.data.shuffle,
        run.data.drop_last,
        prepare,
        run.data.augment,
    )


def network_of(network: Network, facts: Facts, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """One network on its device, in training mode, its parameters as PyTorch starts them."""
    shape: Shape = facts.shape or ()
    if network.input is not None:
        shape = (network.input,) if isinstance(network.input, int) else network.input
    return build(stages(network), shape).to(device=device, dtype=dtype).train()


def _initialise(run: Run, networks: Mapping[str, nn.Module], named: list[Named], locate: Locate) -> None:
    several = len(networks) > 1
    items: list[tuple[Init, list[Named]]] = []
    for role, network in run.networks.items():
        own = [n for n in named if not several or n.name.startswith(f"{role}.")]
        items += [(init, own) for init in network.init]
    items += [(init, named) for init in run.init]
    with torch.no_grad():
        for init, candidates in items:
            for chosen in matching(init.params, candidates, locate(init), f"`init: {init.part.name()}`"):
                init.part.fill(chosen.tensor)


def matching(selector: Selector, candidates: list[Named], at: Place | None, owner: str) -> list[Named]:
    """The parameters a selector means. Raises `Problem` when there are none."""
    found = select(selector, candidates)
    if not found:
        names = ", ".join(quote(n.name) for n in candidates[:6])
        raise Problem(
            "selector-empty",
            f"{owner} selects no parameter: {quote(describe(selector))} matches nothing",
            at,
            "a selector that matches nothing is a mistake more often than not",
            f"the parameters are {names}{', …' if len(candidates) > 6 else ''}",
        )
    return found


def _penalties(run: Run, named: list[Named], locate: Locate) -> list[Applied]:
    seen: dict[str, int] = {}
    applied = []
    for item in run.regularization:
        name = item.part.name()
        seen[name] = seen.get(name, 0) + 1
        chosen = matching(item.params, named, locate(item), f"`{name}`")
        if item.form == "penalty":
            applied.append(
                Applied(name if seen[name] == 1 else f"{name}.{seen[name]}", item.part, item.weight, tuple(chosen))
            )
    return applied


def _updates(run: Run, named: list[Named], locate: Locate) -> list[Update]:
    training = run.training
    updates = []
    rules = run.rules
    for update in run.objective.updates:
        rule = rules.get(update) or rules["all"]
        own = (
            named
            if update not in rules or len(run.networks) == 1
            else [n for n in named if n.name.startswith(f"{update}.")]
        )
        groups, scales = _groups(rule.part.lr, rule.groups, own, locate)
        decay = [
            (2 * item.part.strength * item.weight, [n.tensor for n in select(item.params, own)])  # type: ignore[attr-defined]
            for item in run.regularization
            if item.form == "decoupled"
        ]
        updates.append(
            Update(
                update,
                rule.part,
                groups,
                scales,
                accumulate=training.accumulate,
                clip_norm=training.clip_norm,
                clip_value=training.clip_value,
                ema=training.ema,
                decay=decay,
            )
        )
    return updates


def _groups(
    lr: float, groups: Sequence[Group], named: list[Named], locate: Locate
) -> tuple[list[dict[str, Any]], list[float]]:
    """torch's parameter groups and the learning rate of each as a multiple of the schedule's; first match wins."""
    left = list(named)
    result: list[dict[str, Any]] = []
    scales: list[float] = []
    for group in groups:
        matching(group.params, named, locate(group), "a parameter group")
        chosen = matching(group.params, left, locate(group), "a parameter group, after the groups before it,")
        left = [n for n in left if n not in chosen]
        entry: dict[str, Any] = {"params": [n.tensor for n in chosen]}
        scales.append((group.lr_scale or 1.0) * ((group.lr or lr) / lr))
        entry["lr"] = lr * scales[-1]
        if group.weight_decay is not None:
            entry["weight_decay"] = group.weight_decay
        result.append(entry)
    if left:
        result.append({"params": [n.tensor for n in left]})
        scales.append(1.0)
    return result, scales
