"""Steps too small for the number format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, middle, optimizer


class LostUpdates(Measure):
    """The share of weights that have a gradient and are after the step, bit for bit, what they were before.

    value     mean over elements with g ≠ 0 of [w_t = w_{t-1}], by tensor
    paper     a step below half a unit in the last place is rounded away: Gupta et al. (2015), ICML, arXiv:1502.02551;
              the threshold is ours
    """

    close = True
    finds = ("lost_updates",)
    lasts = 3
    cases = [{}, {"share": 0.3}]

    share: PositiveFloat = 0.5
    """Median over the matrices, where the loss does not fall."""

    def of(self, look: Look) -> Mapping[str, float]:
        found = {}
        for weight in look.moving:
            if weight.before is not None and weight.gradient is not None:
                pulled = weight.gradient != 0
                count = int(pulled.sum())
                if count:
                    found[weight.name] = int(((weight.value == weight.before) & pulled).sum()) / count
        return found

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        shares = {w.layer: values[w.name] for w in look.matrices if w.name in values}
        if not shares or not look.progress.stuck or look.rate < 0.5 * look.peak or look.step < 64:
            return
        usual = middle(shares.values())
        yield Sign(
            "lost_updates",
            usual / self.share,
            max(shares, key=lambda name: shares[name]),
            f"{100 * usual:.0f} % of the weights that have a gradient did not change by a bit (median of the matrices)",
            "steps are smaller than the last digit of the weights: the learning rate, or the gradient, is too small",
            f"{optimizer(look, lr=look.rate * 100)}   # or `precision: float64`",
        )
