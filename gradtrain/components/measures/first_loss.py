"""The loss before anything is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign


class FirstLoss(Measure):
    """The loss of the first batch beside that of an answer that holds every class for equally likely.

    value     L₁ / ln K for K classes
    paper     Karpathy, CS231n (2015), neural networks part 3: "look for correct loss at chance performance"; the
              threshold is ours
    note      Measured at the first step only.
    """

    finds = ("first_loss",)
    lasts = 1
    cases = [{}, {"times": 2.0}]

    times: PositiveFloat = 3.0
    """From which multiple on the network begins with wrong answers that it is sure of."""

    def of(self, look: Look) -> Mapping[str, float]:
        first, uniform = look.progress.first, look.progress.uniform
        return {"": first / uniform} if look.step == 1 and first is not None and uniform else {}

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if values and look.progress.first is not None and look.progress.uniform is not None:
            yield Sign(
                "first_loss",
                values[""] / self.times,
                look.weights[-1].layer if look.weights else "",
                f"the first loss is {look.progress.first:.3g}, that of a network that knows nothing "
                f"{look.progress.uniform:.3g}",
                "the last layer starts with weights too large: it is sure of wrong answers",
                'init: {normal: {std: 0.01}, params: "*.weight"}   # of the last layer',
            )
