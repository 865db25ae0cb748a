"""The phases of a run: groups of parameters, optimizers, penalties, learning rates."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from gradtrain.config.sections import Group, Grouped, Run
from gradtrain.config.sections import Phase as Section
from gradtrain.problems import Place, Problem, quote
from gradtrain.training.penalties import Applied, Penalties
from gradtrain.training.phase import Phase
from gradtrain.training.schedule import LearningRate
from gradtrain.training.selectors import Named, Selector, describe, select
from gradtrain.training.update import Update

Locate = Callable[[object], Place | None]
"""A record of the config → where it was written."""


def phases(
    run: Run, networks: Mapping[str, nn.Module], named: Sequence[Named], per_epoch: int, locate: Locate
) -> list[Phase]:
    """Every phase of the run, one after the other. Raises `Problem` for selectors that match nothing."""
    free = [n for n in named if n.tensor.requires_grad]
    penalties = _penalties(run, networks, free, locate)
    limits = [(a.regularizer, [n.tensor for n in a.parameters]) for a in penalties if a.regularizer.of == "constraint"]
    result: list[Phase] = []
    start = 0
    for section in run.all_phases:
        still = [] if section.freeze is None else matching(section.freeze, free, locate(section), "`freeze`")
        moving = [n for n in free if n not in still]
        end = start + (section.steps or (section.epochs or 1) * per_epoch)
        updates = _updates(run, section, moving, locate)
        for update in updates:
            update.limit(limits)
        owners = {u.name: [n for n in moving if any(n.tensor is p for p in u.parameters)] for u in updates}
        schedule, lr = section.schedule, next(iter(section.rules.values())).part.lr
        result.append(
            Phase(
                updates=updates,
                rate=LearningRate(
                    schedule.part if schedule else None,
                    (schedule.by or "step") if schedule else "step",
                    lr,
                    end - start,
                    per_epoch,
                    start,
                ),
                penalties=Penalties(penalties, owners),
                start=start,
                end=end,
                learning=[n.tensor for n in moving],
                resting=[n.tensor for n in named if n not in moving],
            )
        )
        start = end
    return result


def matching(selector: Selector, candidates: Sequence[Named], at: Place | None, owner: str) -> list[Named]:
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


def _penalties(run: Run, networks: Mapping[str, nn.Module], named: Sequence[Named], locate: Locate) -> list[Applied]:
    seen: dict[str, int] = {}
    applied = []
    for item in run.regularization:
        name = item.part.name()
        seen[name] = seen.get(name, 0) + 1
        label = name if seen[name] == 1 else f"{name}.{seen[name]}"
        if item.part.of in ("weight", "constraint"):
            chosen = tuple(matching(item.params, named, locate(item), f"`{name}`"))
            if item.form == "penalty":
                applied.append(Applied(label, item.part, item.weight, chosen))
            continue
        role = item.of or (run.objective.readers or run.objective.roles)[-1]
        order = run.objective.updates
        modules = (networks[role],) if item.part.of == "output" else ()
        if item.part.of == "output" and item.at is not None:
            modules = tuple(
                m for path, m in networks[role].named_modules() if path and fnmatch.fnmatchcase(path, item.at)
            )
            if not modules:
                names = ", ".join(quote(path) for path, _ in list(networks[role].named_modules())[1:7])
                what = f"`{name}` listens to no layer: {quote(item.at)} matches nothing"
                raise Problem("selector-empty", what, locate(item), help=f"the layers are {names}, …")
        update = role if len(set(order)) > 1 else order[0]
        applied.append(Applied(label, item.part, item.weight, (), modules, role, networks[role], update))
    return applied


def _updates(run: Run, section: Section, moving: Sequence[Named], locate: Locate) -> list[Update]:
    """The updates of a step in their order; a network that is updated several times has one optimizer all the same."""
    order = run.objective.updates
    rules = section.rules
    base = next(iter(rules.values())).part.lr
    made: dict[str, Update] = {}
    for name in dict.fromkeys(order):
        rule = rules.get(name) or next(iter(rules.values()))
        own = [n for n in moving if len(set(order)) == 1 or n.name.startswith(f"{name}.")]
        if own:
            made[name] = _update(run, name, rule, base, own, locate)
    if not made:
        raise Problem(
            "nothing-learns",
            "no parameter is left to train",
            locate(section),
            "all of them are frozen, or the networks have none",
        )
    return [made[name] for name in order if name in made]


def _update(run: Run, name: str, rule: Grouped, base: float, own: list[Named], locate: Locate) -> Update:
    training = run.training
    groups, scales = _groups(rule.part.lr, base, rule.groups, own, locate)
    decay = [
        (2 * item.part.strength * item.weight, [n.tensor for n in select(item.params, own)])  # type: ignore[attr-defined]
        for item in run.regularization
        if item.form == "decoupled"
    ]
    return Update(
        name,
        rule.part,
        groups,
        scales,
        accumulate=training.accumulate,
        clip_norm=training.clip_norm,
        clip_value=training.clip_value,
        ema=training.ema,
        decay=decay,
    )


def _groups(
    lr: float, base: float, groups: Sequence[Group], named: list[Named], locate: Locate
) -> tuple[list[dict[str, Any]], list[float]]:
    """torch's parameter groups, and the learning rate of each as a multiple of the schedule's, whose own is `base`.

    The first group that matches wins.
    """
    left = list(named)
    result: list[dict[str, Any]] = []
    scales: list[float] = []
    for group in groups:
        matching(group.params, named, locate(group), "a parameter group")
        chosen = matching(group.params, left, locate(group), "a parameter group, after the groups before it,")
        left = [n for n in left if n not in chosen]
        scales.append((group.lr_scale or 1.0) * (group.lr or lr) / base)
        entry: dict[str, Any] = {"params": [n.tensor for n in chosen], "lr": base * scales[-1]}
        if group.weight_decay is not None:
            entry["weight_decay"] = group.weight_decay
        result.append(entry)
    if left:
        result.append({"params": [n.tensor for n in left], "lr": lr})
        scales.append(lr / base)
    return result, scales
