"""The size of a step beside the size of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, middle, norms, optimizer


class UpdateRatio(Measure):
    """How far one step moves every tensor, relative to the tensor itself: the learning rate as the weights feel it.

    value     ‖Δw‖₂ / ‖w‖₂ of each tensor that is not zero, Δw the whole step: rule, decay, clipping
    paper     about 1e-3 is usual, 1e-2 much: Karpathy, CS231n (2015), neural networks part 3. The thresholds here lie
              far outside of that: healthy runs begin at 0.1 (Adam, small weights) and end below 1e-6 (cosine)
    note      A rate is called too high or too low only where the loss does not fall either, and too low only
              after the warm-up. Where no weight can have gone a hundredth of its length in all steps together, what
              the loss does is the chance of batches.
    """

    close = True
    lasts = 3
    finds = ("rate_too_high", "rate_too_low")
    cases = [{}, {"high": 0.05, "low": 1e-5}]

    high: PositiveFloat = 0.1
    """Median over the matrices from which a rate is too high, where the loss has grown and not come back since."""
    wild: PositiveFloat = 0.5
    """The same where the loss stands still, or at the first step: half of every weight is new. Ten times that is too
    high whatever the loss does, forty times that at once."""
    low: PositiveFloat = 1e-4
    """Median over the matrices below which a rate is too low, where the loss does not fall."""

    def of(self, look: Look) -> Mapping[str, float]:
        kept = [w for w in look.moving if w.before is not None]
        before = norms([w.before for w in kept if w.before is not None])
        moved = norms([w.value - w.before for w in kept if w.before is not None])
        return {w.name: step / size for w, step, size in zip(kept, moved, before, strict=True) if size > 0}

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        known = look.matrices or look.moving  # a network may be vectors only
        ratios = {w.name: (values[w.name], w.layer) for w in known if w.name in values}
        usual, progress = middle(ratio for ratio, _ in ratios.values()), look.progress
        if not ratios or not math.isfinite(usual):
            return
        past["way"] = past.get("way", 0.0) + usual * (look.step - past.get("step", 0))
        past["step"] = look.step
        name, (worst, layer) = max(ratios.items(), key=lambda item: item[1][0])
        told = f"a step moves the weights by {usual:.2g} of their length (median; `{name}` by {worst:.2g})"
        leapt = progress.falls and progress.fallen < -0.25 and look.step > 1
        past["grown"] = grown = progress.stuck and (leapt or past.get("grown", False))
        limit = self.high if grown else self.wild if progress.stuck else 10 * self.wild
        excess = usual / limit
        if excess >= 0.7:
            loss = f", and the loss went from {progress.first:.4g} to {progress.now:.4g}" if grown else ""
            yield Sign(
                "rate_too_high",
                excess if usual > 40 * self.wild else min(excess, 2.0),
                layer,
                f"{told}{loss}",
                "the learning rate is too high: steps leap over what they aim at",
                optimizer(look, lr=look.rate * min(0.1, 5e-3 / usual)),
            )
        still = progress.stuck or (progress.falls and progress.fallen < 0.5 and past["way"] < 0.01)
        settled = look.rate >= 0.9 * look.peak and still and not progress.known and look.step >= 64
        if settled and 0 < usual < self.low / 0.7:
            yield Sign(
                "rate_too_low",
                self.low / usual,
                min(ratios.items(), key=lambda item: item[1][0])[1][1],
                f"{told}, and the loss went from {progress.first:.4g} to {progress.now:.4g} in {look.step} steps",
                "the learning rate is too low: at this pace a weight needs "
                f"{1 / usual:,.0f} steps to change by its own size",
                optimizer(look, lr=look.rate * min(1e3, 1e-3 / usual)),
            )
