"""What the losses of embeddings share: who is of whose kind within a batch."""

from __future__ import annotations

from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem


def partners(target: Tensor) -> Tensor:
    """True where two samples carry one label and are not the same sample `[batch, batch]`."""
    same = target.unsqueeze(1) == target
    same.fill_diagonal_(False)
    return same


def strangers(target: Tensor) -> Tensor:
    """True where two samples carry different labels `[batch, batch]`."""
    return target.unsqueeze(1) != target


def embedded(prediction: Tensor, target: Tensor, loss: str) -> Tensor:
    """The embeddings `[batch, features]`, in single precision at least. Raises `Problem` for another shape."""
    if prediction.ndim != 2 or target.shape != prediction.shape[:1]:
        raise Problem(
            "loss-shape",
            f"`{loss}` has a prediction {list(prediction.shape)} for a target {list(target.shape)}",
            why="it compares one vector a sample [batch, features] by class labels [batch]",
            help="write `flatten` and a `linear` layer last, and `target: {kind: class}` under `data:`",
        )
    return prediction.to(torch.promote_types(prediction.dtype, torch.float32))


def products(u: Tensor) -> Tensor:
    """u_i·u_j `[batch, batch]`, also where autocast would take products in half precision, of three digits."""
    with torch.autocast(u.device.type, enabled=False):
        return u @ u.T
