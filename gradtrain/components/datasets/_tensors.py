"""From loaded arrays to examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradtrain.components.datasets import Examples, Facts
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Place, Problem, quote

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def inputs(x: Array, name: str, path: Path) -> Tensor:
    """Inputs [count, *shape] as uint8 or float32; images [count, height, width] get their channel. Raises `Problem` (data)."""
    tensor = torch.from_numpy(x)
    if tensor.dtype != torch.uint8:
        tensor = tensor.to(torch.float32)
        refuse_nonfinite(tensor, name, path)
    if tensor.ndim == 1:
        tensor = tensor.unsqueeze(1)
    return tensor.unsqueeze(1) if tensor.ndim == 3 else tensor


def refuse_nonfinite(x: Tensor, name: str, path: Path) -> None:
    """Raises `Problem` naming the first rows with NaN or infinity."""
    wrong = ~x.reshape(len(x), -1).isfinite().all(dim=1)
    if bool(wrong.any()):
        rows = ", ".join(str(int(i)) for i in wrong.nonzero().flatten()[:5])
        raise Problem("input-not-finite", f"{int(wrong.sum()):,} rows of {quote(name)} hold NaN or infinity", Place(str(path)), f"the first are {rows}, counted from 0", "remove or fill them")


def examples(x: Tensor, y: Tensor, path: tuple[Path, ...], labels: tuple[str, ...] = ()) -> Examples:
    """Samples read from a file, with the facts that follow from them. Raises `Problem` when the counts differ."""
    if len(x) != len(y):
        raise Problem("count-mismatch", f"{len(x):,} inputs but {len(y):,} targets", Place(str(path[-1])), "every input needs its target")
    if not len(x):
        raise Problem("data-empty", "there are no samples", Place(str(path[0])))
    whole = y.ndim == 1 and (not y.is_floating_point() or bool((y == y.round()).all()))
    classes = len(labels) or (int(y.max()) + 1 if whole and not y.is_floating_point() and int(y.min()) >= 0 else None)
    span = (0.0, 255.0) if x.dtype == torch.uint8 else (float(x.min()), float(x.max()))
    facts = Facts(count=len(x), shape=tuple(x.shape[1:]), classes=classes, outputs=1 if y.ndim == 1 else y.shape[1], range=span)
    return Examples({"x": x, "y": y}, facts, labels=labels, files=path)
