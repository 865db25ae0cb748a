"""What the losses of class labels share: labels that do not count, and one factor a class."""

from __future__ import annotations

from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem

NEVER = -(2**40)
"""A label that cannot occur: torch's own default of -100 would swallow a broken label without a word."""


def factors(loss: str, weights: tuple[float, ...] | None, prediction: Tensor) -> Tensor:
    """The factor of every class `[class]`; ones without weights. Raises `Problem` where they do not fit."""
    classes = prediction.shape[1]
    if weights is None:
        return prediction.new_ones(classes)
    if len(weights) != classes:
        raise Problem(
            "loss-weights",
            f"`{loss}` has {len(weights)} weights, its prediction {classes} classes",
            why=f"`weights` holds one factor a class; the prediction is {list(prediction.shape)}",
            help=f"write {classes} numbers under `weights`, or change the width of the last layer",
        )
    return prediction.new_tensor(weights)


def counted(target: Tensor, weights: tuple[float, ...] | None, ignored: int | None) -> Tensor | float:
    """How many labels count, each by the factor of its class."""
    if weights is None and ignored is None:
        return float(target.numel())
    # Masks instead of a selection, whose size a device would have to report before it can go on.
    exact = torch.float32 if target.device.type == "mps" else torch.float64
    real = target != (NEVER if ignored is None else ignored)
    if weights is None:
        return real.sum(dtype=exact)
    factor = torch.tensor(weights, dtype=exact, device=target.device)
    return (factor[target.where(real, 0)] * real).sum()


def is_class(target: Tensor, prediction: Tensor) -> Tensor:
    """1 at a sample's class, on the class axis: `[batch, class, ...]` in the prediction's precision."""
    classes = torch.arange(prediction.shape[1], device=target.device)
    return (target.unsqueeze(1) == classes.reshape(-1, *[1] * (target.ndim - 1))).to(prediction.dtype)
