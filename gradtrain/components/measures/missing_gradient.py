"""Tensors that no gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gradtrain.components.measures import Look, Measure, Sign, Weight, listed


class MissingGradient(Measure):
    """Parameters that cannot learn: no gradient arrives, it is exactly zero, or nothing moves them in the whole run.

    value     1 where no gradient arrives, 0.5 where all of it is 0, 0.25 where no phase moves the tensor; by tensor,
              the others are left out
    note      All-zero gradients of all tensors at once mean that the loss is at its end, and are no finding.
    """

    finds = ("no_gradient", "frozen", "zero_gradient")
    lasts = 3

    def of(self, look: Look) -> Mapping[str, float]:
        found = {}
        for weight in look.weights:
            if not weight.learns:
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
        if by[0.5] and len(by[0.5]) < sum(weight.gradient is not None for weight in look.moving):
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
                "`freeze` covers them in every phase, and no run has trained them before",
                "freeze: []   # leave it out, or load the layer with `trained:`",
            )  # fmt: skip

    def _sign(self, name: str, weights: list[Weight], told: str, cause: str, remedy: str) -> Sign:
        return Sign(name, 2.0, weights[0].layer, f"{told} {listed([w.name for w in weights])}", cause, remedy)
