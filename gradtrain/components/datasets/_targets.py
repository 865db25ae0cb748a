"""From a loaded target to what losses take, by the kind that the config names."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from gradtrain.components.datasets import Facts
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Place, Problem, quote

Places = Callable[[int], Place | None]


def targets(
    y: Tensor, kind: str, facts: Facts, labels: tuple[str, ...] = (), places: Places = lambda number: None
) -> Tensor:
    """Targets of one kind. Raises `Problem` (data) naming the sample, its value and what was expected.

    class: int64 [count] in 0..classes-1; binary: 0 or 1, pm1: -1 or +1 (0/1 become -1/+1, so that class labels of two
    classes serve), both real [count, 1]; value: real [count, outputs]; multilabel: 0 or 1, real [count, labels]. A
    target is never [count] beside a prediction of [count, 1]: torch would broadcast the two to [count, count].
    `labels` are the names of classes that were written as text, if they were; `places` says where a target stands.
    """
    if kind == "class":
        return _classes(y, facts.classes, places)
    if kind == "value" and any(not name.isdecimal() for name in labels):
        names = ", ".join(quote(name) for name in labels[:3])
        why, help = f"the targets are the classes {names}", "write `data.target.kind: class`"
        raise Problem("target-text", "the targets are names, not values", why=why, help=help)
    real = torch.float64 if y.dtype == torch.float64 else torch.float32
    columns = y.reshape(len(y), prod(y.shape[1:])).to(real)
    if kind == "value":
        _refuse(~columns.isfinite(), columns, "finite numbers", "target-not-finite", places, "remove or fill them")
        return columns
    if kind in ("binary", "pm1") and columns.shape[1] != 1:
        why, help = "there is one answer a sample", "write `data.target.kind: multilabel`"
        raise Problem("label-shape", f"{kind} targets have {columns.shape[1]} columns", why=why, help=help)
    if kind == "pm1":
        if bool((columns >= 0).all()):
            columns = torch.where((columns == 0) | (columns == 1), 2 * columns - 1, columns)
        _refuse(
            columns.abs() != 1,
            columns,
            "-1 or +1, or 0 and 1 throughout",
            "label-out-of-range",
            places,
            _hint(columns, kind),
        )
    else:
        wrong = (columns != 0) & (columns != 1)
        _refuse(wrong, columns, "0 or 1", "label-out-of-range", places, _hint(columns, kind))
    if kind != "multilabel":
        _refuse_single(columns)
    return columns


def _classes(y: Tensor, classes: int | None, places: Places) -> Tensor:
    if y.numel() != len(y):
        why, help = "there is one class a sample", "write `data.target.kind: multilabel` if there are several"
        raise Problem("label-shape", f"class labels have the shape {list(y.shape)}", why=why, help=help)
    y = y.reshape(len(y))
    if y.is_floating_point():
        wrong = (y != y.round()) | ~y.isfinite()
        _refuse(
            wrong,
            y,
            "whole class indices",
            "label-not-integer",
            places,
            "write `data.target.kind: value` if these are values",
        )
    labels = y.to(torch.int64)
    count = classes if classes is not None else int(labels.max()) + 1
    wrong = (labels < 0) | (labels >= count)
    _refuse(wrong, labels, f"0 to {count - 1}", "label-out-of-range", places, _hint(labels, "class", count))
    _refuse_single(labels)
    return labels


def _hint(labels: Tensor, kind: str, count: int = 2) -> str:
    """What a set of wrong labels may mean."""
    low, high = labels.min().item(), labels.max().item()
    if low == 1 and high == count:
        return f"the labels run from 1 to {count}: subtract one"
    if kind != "pm1" and count == 2 and (low, high) == (-1, 1):
        return "labels of -1 and +1 are written `data.target.kind: pm1`"
    if kind == "class" and low == -100:
        return "-100 is PyTorch's mark for targets to ignore: remove those samples"
    return "write `data.target.kind: value` if these are values" if kind == "class" else ""


def _refuse_single(labels: Tensor) -> None:
    if bool((labels == labels[0]).all()):
        what = f"every sample has the same class: {labels[0].item():g}"
        raise Problem(
            "single-class",
            what,
            why="there is nothing to tell apart",
            help="check the column or array of targets",
        )


def _refuse(wrong: Tensor, values: Tensor, expected: str, code: str, places: Places, help: str = "") -> None:
    if bool(wrong.any()):
        first = wrong.nonzero()[0].tolist()
        value = values[tuple(first)].item()
        where = f"sample {first[0]}" + (f", column {first[1]}," if values.ndim == 2 and values.shape[1] > 1 else "")
        others = f"{int(wrong.sum()):,} of {wrong.numel():,} targets are like that; samples are counted from 0"
        what = f"{where} has the target {value:g}, expected {expected}"
        raise Problem(code, what, places(first[0]), others, help)
