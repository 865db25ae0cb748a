"""How much of the gradient is regularization."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, norms, weaker


class PenaltyShare(Measure):
    """The share of every penalty on weights in the pull on them.

    value     ‖∂ penalty / ∂ w‖ / (‖∂ penalty / ∂ w‖ + ‖g - ∂ penalty / ∂ w‖), over the tensors it applies to
    paper     the threshold is ours; where training has come to rest the two are equal and opposite: ½
    note      Not measured where the gradient was clipped: the parts are those before clipping.
    """

    close = True
    finds = ("penalty_dominates",)
    lasts = 3
    cases = [{}, {"share": 0.9}]

    share: PositiveFloat = 0.8
    """Share of one penalty, where the loss has not halved."""

    def of(self, look: Look) -> Mapping[str, float]:
        if look.norm is not None and look.clip is not None and look.norm > look.clip:
            return {}
        found = {}
        for name, pulls in look.penalties.items():
            own = math.hypot(*norms([pull for _, pull in pulls]))
            rest = math.hypot(*norms([w.gradient - pull for w, pull in pulls if w.gradient is not None]))
            if own + rest > 0:
                found[name] = own / (own + rest)
        return found

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if values and look.progress.fallen < 0.5:
            name, share = max(values.items(), key=lambda item: item[1])
            yield Sign(
                "penalty_dominates",
                share / self.share,
                "",
                f"{100 * share:.0f} % of the gradient is that of the penalty `{name}`",
                "the penalty is too strong: the loss hardly moves the weights",
                weaker(look, name) if name in look.strengths else "take the penalty away",
            )
