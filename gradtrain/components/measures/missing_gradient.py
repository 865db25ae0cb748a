"""Tensors that no gradient reaches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, Weight, listed


class MissingGradient(Measure):
    """Parameters that cannot learn: no gradient arrives, it is exactly zero, or nothing moves them in the whole run.

    value     1 where no gradient arrives, 0.5 where all of it is 0, 0.25 where no phase moves the tensor or its group's
              rate is below `slow` times the highest one; by tensor, the others are left out
    note      All-zero gradients of all tensors at once mean that the loss is at its end, and are no finding; nor are
              those of one tensor of a layer that is reached otherwise: many losses do not care for a bias.
    """

    finds = ("no_gradient", "frozen", "zero_gradient")
    lasts = 3
    cases = [{}, {"slow": 1e-3}]

    slow: PositiveFloat = 1e-4
    """Learning rate of a group, as a share of the highest one, below which it stands still beside the others."""

    def of(self, look: Look) -> Mapping[str, float]:
        found = {}
        rates = {weight.name: float(weight.options["lr"]) for weight in look.moving if "lr" in weight.options}
        slow = self.slow * max(rates.values(), default=0.0)
        for weight in look.weights:
            if not weight.learns or rates.get(weight.name, math.inf) < slow:
                found[weight.name] = 0.25
            elif weight.moves and weight.gradient is None:
                found[weight.name] = 1.0
            elif look.lengths.get(weight.name) == 0:
                found[weight.name] = 0.5
        return found

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        known = {weight.name: weight for weight in look.weights}
        by = {mark: [known[name] for name, value in values.items() if value == mark] for mark in (1.0, 0.5, 0.25)}
        if by[1.0]:
            yield self._sign(
                "no_gradient", by[1.0], "no gradient arrives at",
                "what they compute is cut off from the loss: a detach, or an output that nothing uses",
                "remove the layer, or use its output",
            )  # fmt: skip
        reached = {w.layer for w in look.moving if w.gradient is not None and w.name not in values}
        by[0.5] = [weight for weight in by[0.5] if weight.layer not in reached]
        if by[0.5] and reached:
            yield self._sign(
                "zero_gradient", by[0.5], "the gradient is exactly 0 at",
                "what comes back is multiplied by 0: weights of zeros behind it, an underflow, a branch never taken",
                "init: kaiming_normal",
            )  # fmt: skip
        if by[0.25] and not look.progress.known:
            count = sum(weight.value.numel() for weight in by[0.25])
            share = count / max(1, sum(weight.value.numel() for weight in look.weights))
            yield self._sign(
                "frozen", by[0.25], f"{100 * share:.0f} % of the weights keep their random start:",
                "no phase moves them, or at a rate of nearly 0, and no run has trained them before",
                "take them out of `freeze:`, or load the network with `trained:`",
            )  # fmt: skip

    def _sign(self, name: str, weights: list[Weight], told: str, cause: str, remedy: str) -> Sign:
        return Sign(name, 2.0, weights[0].layer, f"{told} {listed([w.name for w in weights])}", cause, remedy)
