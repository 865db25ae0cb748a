"""Windows: samples cut from sequences, as views where memory allows it."""

from __future__ import annotations

import torch
from torch import Tensor

from gradtrain.components.datasets import IGNORED
from gradtrain.problems import Problem

Cut = dict[str, Tensor]
"""Fields x and y."""


def of_series(x: Tensor, length: int, step: int, predict: int | None) -> Cut:
    """Windows x [windows, length, ...] of one sequence [time, ...], one every `step`; nothing is copied.

    y is the same window one step later, or with `predict` the so many steps after it. Raises `Problem` (data).
    """
    ahead = 1 if predict is None else predict
    if len(x) < length + ahead:
        raise _too_long(len(x), length + ahead)
    y = _unfolded(x[1:], length, step) if predict is None else _unfolded(x[length:], predict, step)
    return {"x": _unfolded(x[: len(x) - ahead], length, step), "y": y}


def of_rows(x: Tensor, length: int | None, step: int, predict: int | None) -> Cut:
    """The same for every sequence of [count, time, ...]; `length` None takes whole ones."""
    ahead = 1 if predict is None else predict
    time = x.shape[1]
    length = time - ahead if length is None else length
    if length < 1 or time < length + ahead:
        raise _too_long(time, length + ahead)
    parts = [of_series(row, length, step, predict) for row in x]
    return {name: torch.cat([part[name] for part in parts]) for name in ("x", "y")}


def covering(x: Tensor, length: int) -> Cut:
    """Windows of a sequence of symbols [time], side by side, so that every symbol but the first is a target once.

    The last window begins early enough to be whole; targets that stand in the one before it are `IGNORED`.
    """
    cut = of_series(x, length, length, None)
    left = (len(x) - 1) % length
    if not left:
        return cut
    y = x[-length:].clone()
    y[: length - left] = IGNORED
    return {
        "x": torch.cat([cut["x"], x[-length - 1 : -1].unsqueeze(0)]),
        "y": torch.cat([cut["y"], y.unsqueeze(0)]),
    }


def _unfolded(x: Tensor, length: int, step: int) -> Tensor:
    return x.unfold(0, length, step).movedim(-1, 1)


def _too_long(has: int, needs: int) -> Problem:
    return Problem(
        "window-too-long",
        f"a window and its target take {needs:,} steps, the sequence has {has:,}",
        why="each split is cut on its own",
        help="make `data.windows.length` smaller, or the split larger",
    )
