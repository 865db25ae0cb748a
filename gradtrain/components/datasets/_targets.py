"""From a loaded target to what losses take, by the kind that the config names."""

from __future__ import annotations

from gradtrain.components.datasets import Facts
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem


def targets(y: Tensor, kind: str, facts: Facts) -> Tensor:
    """Targets of one kind. Raises `Problem` (data) naming the index, the value and what was expected.

    class: int64 [count] in 0..classes-1; binary: 0 or 1, pm1: -1 or +1 (0/1 become -1/+1), both real [count, 1];
    value: real [count, outputs]; multilabel: 0 or 1, real [count, labels].
    """
    if kind == "class":
        return _classes(y, facts.classes)
    columns = y.reshape(len(y), -1).to(torch.float64 if y.dtype == torch.float64 else torch.float32)
    if kind == "value":
        _refuse(~columns.isfinite(), columns, "finite numbers", "target-not-finite")
        return columns
    if kind == "pm1":
        if bool(((columns == 0) | (columns == 1)).all()):
            columns = 2 * columns - 1
        _refuse((columns != 1) & (columns != -1), columns, "-1 or +1 (0 and 1 are taken as such)", "label-out-of-range")
    else:
        _refuse((columns != 0) & (columns != 1), columns, "0 or 1", "label-out-of-range")
    return columns


def _classes(y: Tensor, classes: int | None) -> Tensor:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y.flatten()
    if y.ndim != 1:
        raise Problem("label-shape", f"class labels have the shape {list(y.shape)}", why="there is one class a sample", help="write `data.target.kind: multilabel` if there are several")
    if y.is_floating_point():
        _refuse(y != y.round(), y, "whole class indices", "label-not-integer", "write `data.target.kind: value` if these are values")
    labels = y.to(torch.int64)
    count = classes if classes is not None else int(labels.max()) + 1
    hint = ""
    if len(labels) and int(labels.min()) == 1 and int(labels.max()) == count:
        hint = f"the labels run from 1 to {count}: subtract one"
    _refuse((labels < 0) | (labels >= count), labels, f"0 to {count - 1}", "label-out-of-range", hint)
    if count < 2:
        raise Problem("single-class", "every sample has the same class", why="there is nothing to tell apart")
    return labels


def _refuse(wrong: Tensor, values: Tensor, expected: str, code: str, help: str = "") -> None:
    if bool(wrong.any()):
        first = wrong.reshape(len(wrong), -1).any(dim=1).nonzero()[0].item()
        value = values.reshape(len(values), -1)[int(first)][wrong.reshape(len(wrong), -1)[int(first)]][0].item()
        raise Problem(code, f"sample {first} has the target {value:g}, expected {expected}", why=f"{int(wrong.sum()):,} targets are like that", help=help)
