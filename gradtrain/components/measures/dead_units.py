"""Units that never speak."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import PositiveFloat

from gradtrain.components.measures import Heard, Look, Measure, Sign, optimizer


class DeadUnits(Measure):
    """The share of units of a rectifier that are silent for every sample of a batch: they learn nothing from it.

    value     mean over units u of [max over samples |a_u| <= quiet]; quiet is 0 for relu, small for its smooth kin
              threshold of a layer of n units: the larger of `share` and ½ + 3 (¼ / n)^½, at most 1: units whose input
              hardly varies from sample to sample, as in a deep net that has not learned yet, are silent by coin flip.
              Units that fall silent later were driven there by steps too large, and the finding is `rate_too_high`
    paper     up to 40 % of a network can die at a learning rate too high: Karpathy, CS231n (2015), neural networks
              part 1. The threshold lies above that: a sparse unit may be silent in one batch by chance
    note      A unit is a channel of an image or a column of a sequence, over all places. Units that fall silent later
              count where the loss has not halved: a code may be learned that needs few of them.
    """

    close = True
    finds = ("dead_units", "rate_too_high")
    cases = [{}, {"share": 0.4}]
    kinds: ClassVar[Mapping[str, float]] = {
        "relu": 0.0, "gelu": 1e-3, "silu": 1e-3, "mish": 1e-3, "hardswish": 0.0,
    }  # fmt: skip

    share: PositiveFloat = 0.6
    """Share of a layer's units."""

    def of(self, look: Look) -> Mapping[str, float]:
        found = {}
        for layer in look.layers:
            if layer.component in self.kinds and layer.output is not None and layer.output.ndim >= 2:
                a = layer.output.abs()
                units = a.amax(dim=[0, *range(2, a.ndim)]) if a.ndim != 3 else a.amax(dim=(0, 1))
                found[layer.name] = float((units <= self.kinds[layer.component]).float().mean())
        return found

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if not values or 0 < look.samples < 8:
            return
        limits = {layer.name: self._limit(layer) for layer in look.layers if layer.name in values}
        layer = max(values, key=lambda name: values[name] / limits[name])
        share, limit = values[layer], limits[layer]
        early = past.setdefault("first", share / limit) > 0.8
        if not early and look.progress.fallen > 0.5:
            return
        if early:
            name = "dead_units"
            cause = "they were silent from the start: a bias far below zero, or inputs far from it"
            remedy = "init: [kaiming_normal, {constant: 0.0, params: biases}]"
        else:
            name = "rate_too_high"
            cause = "a step too large drove them below zero for every sample, where no gradient brings them back"
            remedy = f"{optimizer(look, lr=look.peak / 10)}   # or leaky_relu in place of it"
        several = [at for at, value in values.items() if value >= limits[at]]
        more = f"; so in {len(several)} of {len(values)} layers" if len(several) > 1 else ""
        since = "" if early else ", which they did not at first"
        yield Sign(
            name,
            share / limit,
            layer,
            f"{100 * share:.0f} % of its units put out 0 for every sample of the batch{since}{more}",
            cause,
            remedy,
        )

    def _limit(self, layer: Heard) -> float:
        units = 1 if layer.output is None else layer.output.shape[-1 if layer.output.ndim == 3 else 1]
        return min(1.0, max(self.share, 0.5 + 3 * math.sqrt(0.25 / units)))
