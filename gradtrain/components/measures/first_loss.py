"""The loss before anything is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from gradtrain.components.measures import Look, Measure, Sign


class FirstLoss(Measure):
    """The loss of the first batch beside that of an answer that holds every class for equally likely.

    value     L₁ / ln K for K classes
    paper     Karpathy, CS231n (2015), neural networks part 3: "look for correct loss at chance performance"; the
              threshold is ours
    note      Measured at the first step only. Told where the loss is still above the threshold after `patience` steps:
              a network that has unlearned its first answers by then has lost little.
    """

    finds = ("first_loss",)
    lasts = 1
    cases = [{}, {"times": 2.0}]

    times: PositiveFloat = 3.0
    """From which multiple on the network begins with wrong answers that it is sure of."""
    patience: PositiveInt = 64
    """Steps that unlearning them may take."""

    def of(self, look: Look) -> Mapping[str, float]:
        first, uniform = look.progress.first, look.progress.uniform
        return {"": first / uniform} if look.step == 1 and first is not None and uniform else {}

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        first, now, uniform = look.progress.first, look.progress.now, look.progress.uniform
        if uniform is None or now is None or first is None:
            return
        excess = now / uniform / self.times
        past["over"] = excess > 1 and (look.step == 1 or past.get("over", False))
        if past["over"] and look.step >= self.patience:
            yield Sign(
                "first_loss",
                excess,
                look.layers[-1].name if look.layers else "",
                f"the first loss is {first:.3g}, that of a network that knows nothing {uniform:.3g}, and after "
                f"{look.step} steps it is {now:.3g}",
                "the last layer starts with weights too large: it is sure of wrong answers",
                "init: {normal: {std: 0.02}, params: weights}   # the last layer's above all",
            )
