"""The loss of answers that do not look at the input: what a network that learned nothing reaches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gradtrain.assemble import Parts
from gradtrain.config.sections import Run

PLAIN = ("supervised", "node_classification", "language_model", "seq2seq")
"""Objectives whose total is the loss of their predictions against targets, and nothing else."""


def constant_answers(run: Run, parts: Parts) -> tuple[float | None, float | None]:
    """(loss of the answer that holds everything for equally likely, loss of the best constant answer), where known."""
    if run.objective.name() not in PLAIN or len(run.loss) != 1:
        return None, None
    loss, weight = run.loss[0].part, run.loss[0].weight
    targets = parts.splits["train"].fields.get("y")
    if loss.reduce != "mean" or weight != 1.0:
        return None, None
    match loss.name():
        case "cross_entropy":
            classes = parts.facts.classes or parts.facts.vocab
            plain = getattr(loss, "label_smoothing", 0.0) == 0.0 and getattr(loss, "weights", None) is None
            uniform = math.log(classes) if classes else None
            return uniform, _entropy(targets) if plain else None
        case "binary_cross_entropy" if getattr(loss, "pos_weight", 1.0) == 1.0:
            return math.log(2), _binary(targets)
        case "mse":
            return None, _variance(targets)
    return None, None


def _entropy(targets: Tensor | None) -> float | None:
    """Of the frequencies of classes, in nats."""
    if targets is None or targets.is_floating_point():
        return None
    real = targets[targets >= 0].flatten()
    shares = torch.bincount(real).double() / max(1, len(real))
    return float(-(shares * shares.clamp(min=1e-300).log()).sum()) if len(real) else None


def _binary(targets: Tensor | None) -> float | None:
    if targets is None:
        return None
    shares = targets.double().mean(dim=0).flatten()
    return float(-(torch.xlogy(shares, shares) + torch.xlogy(1 - shares, 1 - shares)).mean())


def _variance(targets: Tensor | None) -> float | None:
    if targets is None or not targets.is_floating_point() or len(targets) < 2:
        return None
    return float(targets.double().var(dim=0, correction=0).mean())
