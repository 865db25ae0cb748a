"""A look at a training step: what its weights, gradients, layers and optimizers say, network by network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradtrain.assemble import Parts
from gradtrain.components.measures import Heard, Look, Progress, Weight
from gradtrain.diagnostics.ear import title
from gradtrain.training.loop import Step
from gradtrain.training.phase import Phase
from gradtrain.training.selectors import Named
from gradtrain.training.update import Update


class Owner(NamedTuple):
    """Who moves a parameter."""

    update: Update
    group: Mapping[str, Any]
    memory: Mapping[str, Any]


class Looks:
    """Makes looks at the networks of a run; knows which update moves which tensor."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.ever = {id(tensor) for phase in parts.phases for tensor in phase.learning}
        several = len(parts.networks) > 1
        self.named: dict[str, list[Named]] = {
            role: [n for n in parts.parameters if not several or n.name.startswith(f"{role}.")]
            for role in parts.networks
        }

    def at(
        self,
        step: Step,
        phase: Phase,
        progress: Progress,
        heard: Mapping[str, Mapping[str, Heard]],
        before: Mapping[int, Tensor],
        parts: Mapping[int, Sequence[Tensor]],
    ) -> Iterator[tuple[str, Look]]:
        """(role, look) of every network that learns in this run.

        `before` maps the id of a parameter to its value before the step, `parts` to its gradients by micro-batch.
        """
        owners = dict(_owners(phase))
        for role, named in self.named.items():
            weights = [self.weight(one, owners.get(id(one.tensor)), before, parts) for one in named]
            update = next((owners[id(one.tensor)].update for one in named if id(one.tensor) in owners), None)
            if not any(weight.learns for weight in weights):
                continue
            yield (
                role,
                Look(
                    step=step.number,
                    weights=weights,
                    layers=list(heard.get(role, {}).values()),
                    progress=progress,
                    rate=step.rate,
                    peak=phase.peak,
                    norm=None if update is None or update.norm is None else float(update.norm),
                    clip=None if update is None else update.clip_norm,
                    clip_value=None if update is None else update.clip_value,
                    samples=self.parts.splits["train"].size // (1 if update is None else update.accumulate),
                    penalties=_penalties(phase, update, weights) if before and update is not None else {},
                    strengths={a.name: (a.regularizer, a.weight) for a in phase.penalties.applied},
                    rule=None if update is None else update.rule,
                    role=role if len(phase.distinct) > 1 else "",
                ),
            )

    def weight(
        self,
        one: Named,
        owner: Owner | None,
        before: Mapping[int, Tensor],
        parts: Mapping[int, Sequence[Tensor]],
    ) -> Weight:
        """One parameter as measures see it."""
        path, key = one.name.rpartition(".")[0], id(one.tensor)
        return Weight(
            name=one.name,
            layer=title(path, one.component),
            component=one.component,
            value=one.tensor.detach(),
            gradient=None if one.tensor.grad is None or owner is None else one.tensor.grad.detach(),
            before=before.get(key),
            learns=key in self.ever,
            moves=owner is not None,
            memory=owner.memory if owner else {},
            options=owner.group if owner else {},
            parts=parts.get(key, ()),
        )


def _owners(phase: Phase) -> Iterator[tuple[int, Owner]]:
    for update in phase.distinct:
        for group in update.optimizer.param_groups:
            for parameter in group["params"]:
                yield id(parameter), Owner(update, group, update.optimizer.state.get(parameter) or {})


def _penalties(phase: Phase, update: Update, weights: Sequence[Weight]) -> dict[str, list[tuple[Weight, Tensor]]]:
    """What every penalty on weights pulls at each of them, by its closed form, at the weights before the step."""
    known = {weight.name: weight for weight in weights if weight.before is not None}
    found: dict[str, list[tuple[Weight, Tensor]]] = {}
    for applied in phase.penalties.applied:
        if applied.regularizer.of != "weight":
            continue
        for named in applied.parameters:
            if (weight := known.get(named.name)) is not None and weight.before is not None:
                one = torch.ones((), dtype=weight.before.dtype, device=weight.before.device)
                pull = applied.regularizer.gradient(applied.weight * one, weight.before)
                found.setdefault(applied.name, []).append((weight, pull))
    return found
