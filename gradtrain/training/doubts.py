"""What looks wrong in data that can train all the same: warnings about the splits, before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gradtrain.problems import Place, Problem, quote

MOST = 64 << 20
"""Bytes of the train split up to which samples are compared one by one: a fraction of a second."""
NAMED = 5
"""Columns that a message names."""


def constant_columns(x: Tensor, names: Sequence[str], files: Sequence[Path]) -> list[Problem]:
    """A warning about columns of x [count, column] that say the same of every sample that trains."""
    if x.ndim != 2 or x.shape[1] != len(names) or len(x) < 2:
        return []
    same = (x == x[0]).all(dim=0).nonzero().flatten().tolist()
    if not same:
        return []
    some = ", ".join(quote(names[column]) for column in same[:NAMED]) + (", …" if len(same) > NAMED else "")
    return [
        Problem(
            "constant-column",
            f"{len(same)} columns never change in the train split: {some}"
            if len(same) > 1
            else f"the column {some} never changes in the train split",
            Place(str(files[0])),
            "it says nothing about the target, and another value later is one that no weight was trained for",
            "leave it out of `features:`",
            severity="warning",
        )
    ]


def unseen_classes(
    splits: Mapping[str, Mapping[str, Tensor]], labels: Sequence[str], files: Sequence[Path]
) -> list[Problem]:
    """A warning about every split with classes that no sample of the train split has."""
    seen = {name: set(part["y"].tolist()) for name, part in splits.items()}
    found = []
    for name, classes in seen.items():
        new = sorted(classes - seen["train"])
        if not new:
            continue
        some = ", ".join(quote(labels[number] if labels else number) for number in new[:NAMED])
        found.append(
            Problem(
                "unseen-class",
                f"{len(new)} classes of the {name} split never train: {some}{', …' if len(new) > NAMED else ''}"
                if len(new) > 1
                else f"the class {some} of the {name} split never trains",
                Place(str(files[0])),
                f"all of its samples lie outside of the train split, so none of its {name} samples can be right",
                "write `split: {stratify: true}` under `data:`, or another seed",
                severity="warning",
            )
        )
    return found


def overlaps(splits: Mapping[str, Mapping[str, Tensor]], files: Sequence[Path]) -> list[Problem]:
    """A warning about every split with samples that stand, field by field and bit by bit, in the train split too."""
    train = splits["train"]
    if len(splits) < 2 or sum(tensor.nbytes for tensor in train.values()) > MOST:
        return []
    known = set(_rows(train))
    counts = {name: sum(row in known for row in _rows(part)) for name, part in splits.items() if name != "train"}
    return [
        Problem(
            "split-overlap",
            f"{count:,} of {len(next(iter(splits[name].values()))):,} {name} samples stand in the train split too",
            Place(str(files[0])),
            f"what was learned by heart is right there: {name} results look better than those on new samples will be",
            "remove the copies from the data",
            severity="warning",
        )
        for name, count in counts.items()
        if count
    ]


def _rows(fields: Mapping[str, Tensor]) -> list[bytes]:
    """Every sample as bytes."""
    parts = [tensor.reshape(len(tensor), -1).contiguous().view(torch.uint8) for tensor in fields.values()]
    together = torch.cat(parts, dim=1).numpy()
    width, whole = together.shape[1], together.tobytes()
    return [whole[start : start + width] for start in range(0, len(whole), width)] if width else []
