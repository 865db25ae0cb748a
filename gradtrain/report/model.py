"""What is about to train, as a plan that displays can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from gradtrain.assemble import Parts, input_shape, stages
from gradtrain.components.layers._chain import links
from gradtrain.config.sections import Run
from gradtrain.report.display import Plan
from gradtrain.report.tables import model_table
from gradtrain.stage import Shape

if TYPE_CHECKING:
    from rich.table import Table

Row = tuple[str, str, Shape, int]
"""Position, component, output shape, parameters."""


def rows_of(run: Run, parts: Parts) -> list[Row]:
    """One row a layer, network by network."""
    rows: list[Row] = []
    for role, network in run.networks.items():
        prefix = f"{role}." if len(run.networks) > 1 else ""
        module = parts.networks[role]
        for link in links(stages(network), input_shape(network, parts.facts)):
            child = module.get_submodule(link.name) if link.name in dict(module.named_children()) else None
            rows.append((f"{prefix}{link.name}", link.item.part.name(), link.after, _count(child)))
    return rows


def _count(module: nn.Module | None) -> int:
    return 0 if module is None else sum(p.numel() for p in module.parameters())


def table_of(run: Run, parts: Parts) -> Table:
    """The table of the model, with the sum of its parameters (tied ones once)."""
    total = sum(named.tensor.numel() for named in parts.parameters)
    return model_table(
        rows_of(run, parts), total, sum(n.tensor.numel() for n in parts.parameters if n.tensor.requires_grad)
    )


def plan_of(run: Run, parts: Parts, folder: str, start: int, watched: str | None) -> Plan:
    """The plan of a run that begins at step `start`."""
    sizes = ", ".join(f"{name} {batches.count:,}" for name, batches in parts.splits.items())
    rule = ", then ".join(dict.fromkeys(rule.part.name() for rule in run.rules))
    steps = f"{parts.steps:,} steps of {parts.splits['train'].size}"
    facts = (
        f"{run.data.source.name()}: {sizes} samples · {rule} · {steps} · {parts.device} {run.precision} seed {run.seed}"
    )
    return Plan(
        run.name,
        folder,
        start,
        parts.steps,
        parts.per_epoch,
        parts.splits["train"].size,
        table_of(run, parts),
        facts,
        watched,
    )
