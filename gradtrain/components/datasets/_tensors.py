"""From loaded arrays to examples."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.datasets._files import named
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Place, Problem, quote

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def inputs(x: Array, name: str, path: Path) -> Tensor:
    """Inputs [count, *shape] as uint8 or float32. Raises `Problem` (data).

    Images [count, height, width] get their channel.
    """
    refuse_scalar(x, name, path)
    tensor = torch.from_numpy(x)
    if tensor.dtype != torch.uint8:
        tensor = tensor.to(torch.float32)
        refuse_nonfinite(tensor, name, path)
    if tensor.ndim == 1:
        tensor = tensor.unsqueeze(1)
    return tensor.unsqueeze(1) if tensor.ndim == 3 else tensor


def labels_or_values(y: Array, name: str, path: Path) -> Tensor:
    """Targets [count, ...]: whole numbers as int64, others as float32. Raises `Problem` (data)."""
    refuse_scalar(y, name, path)
    tensor = torch.from_numpy(y)
    return tensor.to(torch.float32) if tensor.is_floating_point() else tensor.to(torch.int64)


def refuse_scalar(array: Array, name: str, path: Path) -> None:
    """Raises `Problem` for an array without a sample axis."""
    if array.ndim == 0:
        why = "an array holds one row a sample"
        raise Problem(
            "input-shape", f"{quote(name)} is a single number", Place(str(path)), why, "save one row a sample"
        )


def refuse_nonfinite(x: Tensor, name: str, path: Path) -> None:
    """Raises `Problem` naming the first rows with NaN or infinity."""
    wrong = ~x.isfinite().reshape(len(x), prod(x.shape[1:])).all(dim=1)
    if bool(wrong.any()):
        rows = ", ".join(str(int(i)) for i in wrong.nonzero().flatten()[:5])
        what = f"{int(wrong.sum()):,} of {len(x):,} rows of {quote(name)} hold NaN or infinity"
        why = f"the first are {rows}, counted from 0; numbers above 3.4e38 do not fit float32"
        raise Problem("input-not-finite", what, Place(str(path)), why, "remove or fill them")


def examples(x: Tensor, y: Tensor, paths: tuple[Path, ...], labels: tuple[str, ...] = ()) -> Examples:
    """Samples read from files, with the facts that follow from them. Raises `Problem` when the counts differ."""
    if len(x) != len(y):
        why, help = "every input needs its target", "save as many targets as inputs, in the same order"
        raise Problem("count-mismatch", f"{len(x):,} inputs but {len(y):,} targets", Place(str(paths[-1])), why, help)
    if not x.numel() or not y.numel():
        what = f"{named(paths[0])} holds no samples"
        raise Problem("data-empty", what, Place(str(paths[0])), f"inputs {list(x.shape)}, targets {list(y.shape)}")
    span = (0.0, 255.0) if x.dtype == torch.uint8 else (float(x.min()), float(x.max()))
    facts = Facts(
        count=len(x), shape=tuple(x.shape[1:]), classes=len(labels) or classes_in(y),
        outputs=prod(y.shape[1:]), range=span,
    )  # fmt: skip
    return Examples({"x": x, "y": y}, facts, labels=labels, files=paths)


def classes_in(y: Tensor) -> int | None:
    """How many classes whole numbers can mean: they begin at 0 or 1, and at least half of the indices occur; else None.

    Labels 1..C mean C classes too, so that C is refused as out of range: an output that never wins would go unseen.
    """
    if y.is_floating_point() or y.numel() != len(y):
        return None
    low, high = int(y.min()), int(y.max())
    if low not in (0, 1) or 2 * len(torch.unique(y)) < high - low + 1:
        return None
    return high if low == 1 and high > 1 else high + 1
