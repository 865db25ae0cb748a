"""The flow of differentiation of a config: what each stage computes, its derivative, and whom it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradtrain.assemble import input_shape, network_of, stages
from gradtrain.components.datasets import Facts
from gradtrain.components.layers import Layers, held
from gradtrain.components.layers._chain import links
from gradtrain.config.checks import check
from gradtrain.config.load import read
from gradtrain.config.sections import Run
from gradtrain.feed import facts_after
from gradtrain.lazy import torch
from gradtrain.problems import Place, Problem, safe
from gradtrain.registry import Component, about
from gradtrain.report.tables import shown
from gradtrain.stage import Shape
from gradtrain.training.selectors import Named, matches, parameters


def explained(path: Path, profile: str | None, overrides: Sequence[str]) -> Iterator[Any]:
    """What `gradtrain explain` prints, part by part; reads data only where its facts need it. Raises `Problem`s."""
    config = read(path, profile, overrides)
    source = config.data().source
    facts = source.facts() or source.load(Path()).facts
    run = config.run(facts, check)
    seen = facts_after(facts, run.data)
    yield from _forward(run, facts, seen)
    networks = {
        role: network_of(role, network, seen, torch.float32, torch.device("cpu"))
        for role, network in run.networks.items()
    }
    yield from _backward(run)
    yield from _parameters(run, parameters(networks))
    problems = [
        f"warning[{p.code}]: {p.what}" + (f" ({p.at})" if isinstance(p.at, Place) else "")
        for p in config.warnings
        if isinstance(p, Problem)
    ]
    if problems:
        yield Text("\n".join(problems), style="yellow")


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _forward(run: Run, facts: Facts, seen: Facts) -> Iterator[Any]:
    yield _heading(f"{safe(run.name)}: from a batch to the loss")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("stage", "output", "computes", "derivative"):
        table.add_column(column, overflow="fold")
    _row(table, run.data.source.name(), shown(facts.shape or ()), about(type(run.data.source)).summary, "")
    for use in run.data.transforms:
        _row(
            table,
            use.part.name() + (f" (on {use.on})" if use.on != "x" else ""),
            "",
            about(type(use.part)).sections.get("value", about(type(use.part)).summary),
            "",
        )
    for part in run.data.augment:
        _row(table, part.name(), "", about(type(part)).summary, "")
    for role, network in run.networks.items():
        _stages(table, stages(network), input_shape(network, seen), f"{role}." if len(run.networks) > 1 else "")
    if run.objective.name() != "supervised":
        _row(
            table,
            f"objective: {run.objective.name()}",
            "scalar",
            _said(run.objective, "value"),
            _said(run.objective, "gradient"),
        )
    for game in (value for value in vars(run.objective).values() if isinstance(value, Component)):
        _row(table, f"game: {game.name()}", "scalar", _said(game, "value"), _said(game, "gradient"))
    for item in run.loss:
        name = f"{item.weight:g} × {item.part.name()}" if item.weight != 1 else item.part.name()
        _row(table, f"loss: {name}", "scalar", _said(item.part, "value"), _said(item.part, "gradient"))
    for penalty in run.regularization:
        if penalty.form == "penalty":
            _row(
                table,
                f"penalty: {penalty.part.name()}",
                "scalar",
                _said(penalty.part, "value"),
                _said(penalty.part, "gradient"),
            )
    yield table


def _stages(table: Table, layers: Layers, shape: Shape, prefix: str) -> None:
    for link in links(layers, shape):
        part = link.item.part
        _row(
            table,
            f"{prefix}{link.name} {part.name()}",
            shown(link.after),
            _said(part, "value"),
            _said(part, "gradient"),
        )
        for name, inner in held(part):
            where = "" if name == "layers" else f"{name}."
            _stages(table, inner, link.before, f"{prefix}{link.name}.{where}")


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(safe(cell)) for cell in cells))


def _said(component: Component, part: str) -> str:
    return " ".join(about(type(component)).sections.get(part, "").split())


def _backward(run: Run) -> Iterator[Any]:
    yield _heading("from the loss back to the weights")
    clip, training = run.training.clip_norm, run.training
    lines = [
        "g = ∂ total / ∂ weight, from the last stage to the first: each derivative above multiplies what comes back"
    ]
    if training.accumulate > 1:
        lines.append(
            f"g is summed over {training.accumulate} micro-batches, weighted by their share of the real targets"
        )
    if training.clip_value is not None:
        lines.append(f"every element of g is cut to ±{training.clip_value:g}")
    if clip is not None:
        lines.append(f"g ← g · min(1, {clip:g} / ‖g‖) over all weights together")
    for number, phase in enumerate(run.all_phases, 1):
        stretch = f"phase {number}, " if run.phases else ""
        for name, rule in phase.rules.items():
            who = stretch if name == "all" else f"{stretch}{name}: "
            lines.append(f"{who}{rule.part.name()}: {_said(rule.part, 'value')}")
        if phase.schedule is not None:
            by = phase.schedule.by or "step"
            lines.append(f"{stretch}lr over time, by {by}: {_said(phase.schedule.part, 'value')}")
    if training.ema is not None:
        lines.append(f"average ← {training.ema:g} average + {1 - training.ema:.3g} weight, after every step")
    yield Padding(Text("\n".join(safe(line) for line in lines)), (0, 0, 0, 1))


def _parameters(run: Run, named: Sequence[Named]) -> Iterator[Any]:
    yield _heading("weights: who moves and who pulls")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("tensor", "shape", "count", "learning rate", "decay", "penalties", "starts as"):
        table.add_column(column, overflow="fold", justify="right" if column == "count" else "left")
    for one in named:
        _row(
            table,
            one.name,
            shown(tuple(one.tensor.shape)),
            f"{one.tensor.numel():,}",
            *_group(run, one),
            _penalties(run, one),
            _start(run, one),
        )
    yield table
    yield Text(f"{sum(n.tensor.numel() for n in named):,} weights in {len(named)} tensors", style="dim")


def _group(run: Run, named: Named) -> tuple[str, str]:
    rules = run.all_phases[0].rules
    rule = rules.get(named.name.partition(".")[0]) or next(iter(rules.values()))
    lr, decay = rule.part.lr, getattr(rule.part, "weight_decay", 0.0)
    for group in rule.groups:
        if matches(group.params, named):
            lr = (group.lr or lr) * (group.lr_scale or 1.0)
            decay = decay if group.weight_decay is None else group.weight_decay
            break
    pulls = [f"{decay:g}"] if decay else []
    pulls += [
        f"2·{p.part.strength:g} decoupled"  # type: ignore[attr-defined]
        for p in run.regularization
        if p.form == "decoupled" and matches(p.params, named)
    ]
    return f"{lr:g}", " + ".join(pulls) or "none"


def _penalties(run: Run, named: Named) -> str:
    own = (p for p in run.regularization if p.form == "penalty" and p.part.of in ("weight", "constraint"))
    return ", ".join(p.part.name() for p in own if matches(p.params, named)) or "none"


def _start(run: Run, named: Named) -> str:
    chosen = [
        init.part.name() for network in run.networks.values() for init in network.init if matches(init.params, named)
    ]
    chosen += [init.part.name() for init in run.init if matches(init.params, named)]
    return chosen[-1] if chosen else "default"
