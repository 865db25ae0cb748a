"""The loss of answers that do not look at the input: what a network that learned nothing reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gradtrain.assemble import Parts
from gradtrain.components.losses import Loss
from gradtrain.config.sections import Run

PLAIN = ("supervised", "node_classification", "language_model", "seq2seq")
"""Objectives whose total is the loss of their predictions against targets, and nothing else."""
SEARCHED = (
    "mse",
    "mae",
    "huber",
    "smooth_l1",
    "log_cosh",
    "quantile",
    "hinge",
    "squared_hinge",
    "binary_cross_entropy",
)
"""Losses of one number an element, convex in it: their best constant is searched, column by column."""
MEASURED, TRIED = 1 << 20, 1 << 16
"""Elements of the targets at most: at which the best constant is measured, and every one that the search tries."""
THIRDS = 50
"""Steps of the search; each leaves two thirds of the range."""


@dataclass(frozen=True)
class Chance:
    """The loss of answers that do not look at the input, each where it is known."""

    uniform: float | None = None
    """Of the answer that holds every class for equally likely."""
    train: float | None = None
    """Of the best one on the train split."""
    val: float | None = None
    """Of the best one on the val split."""


def constant_answers(run: Run, parts: Parts) -> Chance:
    """What a run's loss is without looking at the input."""
    if run.objective.name() not in PLAIN or len(run.loss) != 1:
        return Chance()
    loss, weight = run.loss[0].part, run.loss[0].weight
    if loss.reduce != "mean" or weight != 1.0:
        return Chance()
    train, val = (parts.splits[name].fields.get("y") if name in parts.splits else None for name in ("train", "val"))
    if loss.name() == "cross_entropy":
        classes = parts.facts.classes or parts.facts.vocab
        uniform = math.log(classes) if classes else None
        return Chance(uniform, _entropy(loss, train, classes), _entropy(loss, val, classes))
    plain = loss.name() == "binary_cross_entropy" and getattr(loss, "pos_weight", 1.0) == 1.0
    uniform = math.log(2) if plain else None
    return Chance(uniform, _least(loss, train), _least(loss, val)) if loss.name() in SEARCHED else Chance(uniform)


def _entropy(loss: Loss, targets: Tensor | None, classes: int | None) -> float | None:
    """Of what cross-entropy asks for on average, in nats: the classes' frequencies, smoothed as it smooths labels."""
    if targets is None or targets.is_floating_point() or not classes or getattr(loss, "weights", None) is not None:
        return None
    ignored = getattr(loss, "ignore_index", None)
    real = targets[(targets >= 0) & (targets != ignored)].flatten() if ignored is not None else targets[targets >= 0]
    if not real.numel():
        return None
    smoothing = getattr(loss, "label_smoothing", 0.0)
    shares = torch.bincount(real.flatten(), minlength=classes).double() / real.numel()
    asked = (1 - smoothing) * shares + smoothing / len(shares)
    return float(-torch.xlogy(asked, asked).sum())


def _some(targets: Tensor, most: int) -> Tensor:
    """Rows evenly spread over it, with about so many elements at most."""
    return targets[:: max(1, -(-targets.numel() // most))].double()


def _least(loss: Loss, targets: Tensor | None) -> float | None:
    """The mean loss of the best constant."""
    if targets is None or not targets.is_floating_point() or len(targets) < 2:
        return None
    some = _some(targets, MEASURED)
    return float(loss.forward(_best(loss, targets).expand_as(some), some).mean())


def _best(loss: Loss, targets: Tensor) -> Tensor:
    """The constant with the least mean loss, by ternary search within the targets' range (of logits: -15 to 15)."""
    if loss.name() == "mse":
        return _some(targets, MEASURED).mean(dim=0, keepdim=True)
    some = _some(targets, TRIED)
    if loss.name() == "binary_cross_entropy":
        low, high = torch.full_like(some[:1], -15.0), torch.full_like(some[:1], 15.0)
    else:
        low, high = some.amin(dim=0, keepdim=True), some.amax(dim=0, keepdim=True)
    for _ in range(THIRDS):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        sinks = [loss.forward(at.expand_as(some), some).mean(dim=0, keepdim=True) for at in (left, right)]
        low, high = torch.where(sinks[0] > sinks[1], left, low), torch.where(sinks[0] > sinks[1], high, right)
    return (low + high) / 2
