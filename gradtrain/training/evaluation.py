"""Measuring a split: the loss as a mean over its real targets, metrics over all of its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Metric, Value
from gradtrain.components.objectives import Task
from gradtrain.training.batches import Batches
from gradtrain.training.precision import Precision


def measure(
    task: Task, networks: Mapping[str, nn.Module], batches: Batches, metrics: Sequence[Metric], kind: str, facts: Facts,
    precision: Precision, limit: int | None = None,
) -> dict[str, Value]:  # fmt: skip
    """`loss` (the weighted total, without penalties), each loss by name where there are several, and every metric."""
    written = {metric.name() for metric in metrics if metric.written}
    accumulators = {metric.name(): metric.start(kind, facts) for metric in metrics if metric.name() != "loss"}
    sums: dict[str, float] = {}
    weight = 0.0
    modes = {role: network.training for role, network in networks.items()}
    try:
        for network in networks.values():
            network.eval()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)  # the same noise in every evaluation, and none taken from the training
            for batch in batches.once(limit):
                with precision.forward():
                    terms, prediction, target = task.measure(networks, batch)
                    texts = task.predict(networks, batch) if written else prediction
                count = float(task.count(batch))
                weight += count
                values = {"loss": terms.total, **(terms.losses if len(terms.losses) > 1 else {})}
                for name, value in values.items():  # the mean over no real target is 0/0: it adds nothing
                    sums[name] = sums.get(name, 0.0) + (float(value) * count if count else 0.0)
                for name, accumulator in accumulators.items():
                    accumulator.add(texts if name in written else prediction, target)
    finally:
        for role, network in networks.items():
            network.train(modes[role])
    losses: dict[str, Value] = {name: value / weight if weight else float("nan") for name, value in sums.items()}
    return {**losses, **{name: accumulator.value() for name, accumulator in accumulators.items()}}
