"""Which samples train, decide and test: a pure function of the sizes, the labels and a seed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gradtrain.problems import Problem
from gradtrain.training.batches import generator

Sizes = Mapping[str, float | int | None]


def split(
    count: int,
    sizes: Sizes,
    official: Mapping[str, Tensor],
    labels: Tensor | None,
    seed: int,
    in_order: bool = False,
) -> dict[str, Tensor]:
    """Split name → int64 indices. An official test split stays as it is; `val` and `test` are carved from the rest.

    `sizes` holds fractions (floats up to 1) or counts for train, val and test; train None takes what is left.
    With `labels` [count] (int64), every part keeps the classes' shares; `in_order` cuts train, val and test in the
    stored order instead. Raises `Problem` (data).
    """
    pool = official.get("train", torch.arange(count))
    parts: dict[str, Tensor] = {name: index for name, index in official.items() if name != "train"}
    wanted = {name: size for name, size in (("val", sizes["val"]), ("test", sizes["test"])) if size}
    if "test" in wanted and "test" in parts:
        raise Problem(
            "split-official",
            "the source has an official test split already",
            why="a test result counts on the official split only",
            help="remove `data.split.test`",
        )
    total = len(pool)
    numbers = {
        name: round(size * total) if isinstance(size, float) else int(size)
        for name, size in wanted.items()
        if size is not None
    }
    left = total - sum(numbers.values())
    train = sizes["train"]
    asked = left if train is None else round(train * total) if isinstance(train, float) else int(train)
    if (
        isinstance(train, float)
        and abs(asked - left) <= len(numbers) + 1
        and abs(train + sum(s for s in wanted.values() if isinstance(s, float)) - 1) < 1e-9
    ):
        asked = left  # fractions that add up to one leave nobody out, however the counts round
    if asked > left or asked < 1:
        raise Problem(
            "split-too-large",
            f"the split asks for {asked + sum(numbers.values()):,} of {total:,} samples",
            why=f"{_said(numbers, asked)} do not fit",
            help="make the parts smaller",
        )
    if empty := [name for name, number in numbers.items() if number == 0]:
        raise Problem(
            "split-empty",
            f"the {empty[0]} split is empty",
            why=f"{sizes[empty[0]]} of {total} samples is none",
        )
    if in_order:
        for name, number in {"train": asked, **numbers}.items():
            parts[name], pool = pool[:number], pool[number:]
        return parts
    draw = generator(seed, "split")
    order = _stratified(pool, labels[pool], draw) if labels is not None else pool[torch.randperm(total, generator=draw)]
    end = 0
    for name, number in numbers.items():
        parts[name] = order[end : end + number].sort().values
        end += number
    parts["train"] = order[end : end + asked].sort().values
    return parts


def _stratified(pool: Tensor, labels: Tensor, draw: torch.Generator) -> Tensor:
    """An order in which every prefix holds the classes in their shares: each class's samples are spread evenly."""
    position = torch.empty(len(pool), dtype=torch.float64)
    for label in torch.unique(labels):
        members = (labels == label).nonzero().flatten()
        if len(members) < 2:
            raise Problem(
                "split-stratify",
                f"class {int(label)} has one sample",
                why="a stratified split needs at least two of each class",
                help="write `stratify: false`",
            )
        shuffled = members[torch.randperm(len(members), generator=draw)]
        offset = torch.rand(1, generator=draw, dtype=torch.float64)
        position[shuffled] = (torch.arange(len(members), dtype=torch.float64) + offset) / len(members)
    return pool[position.argsort(stable=True)]


def _said(numbers: Mapping[str, int], train: int) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in {"train": train, **numbers}.items())
