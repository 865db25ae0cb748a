"""Whether anything is learned that inputs say about targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from gradtrain.components.measures import Look, Measure, Sign


class BeyondChance(Measure):
    """The loss beside that of the best answer that does not look at the input.

    value     L / L₀; L₀ the least loss of a constant: the entropy of the classes' frequencies, the variance …
    paper     with labels that are random a network still learns them by heart, and the val loss only rises: Zhang,
              Bengio, Hardt, Recht & Vinyals (2017), ICLR, arXiv:1611.03530; the thresholds are ours
    """

    finds = ("targets",)
    lasts = 4
    cases = [{}, {"patience": 50}]

    least: PositiveFloat = 0.98
    """Where the best val loss so far is above this share of L₀, nothing was learned that holds for new samples."""
    patience: PositiveInt = 200
    """Steps before it is judged."""

    def of(self, look: Look) -> Mapping[str, float]:
        now, chance = look.progress.now, look.progress.chance
        return {"": now / chance} if now is not None and chance else {}

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        progress = look.progress
        if not values or look.step < self.patience or progress.chance is None or progress.least is None:
            return
        val, chance = progress.least_val, progress.chance
        if val is not None:
            chance = progress.chance_val or chance
        best = progress.least if val is None else val
        if best / chance < self.least or progress.least > 1.1 * progress.chance:
            return  # learned, or on its way to where a constant answer is
        by_heart = val is not None and progress.least < 0.9 * progress.chance
        told = f"the best val loss is {val:.4g}" if val is not None else f"the best loss is {progress.least:.4g}"
        learned = f", though the train loss fell to {progress.least:.4g}" if by_heart else ""
        yield Sign(
            "targets",
            best / chance / self.least,
            "",
            f"{told} after {look.step} steps, that of the best answer without looking at the input "
            f"{chance:.4g}{learned}",
            "the targets do not follow from the inputs: labels shuffled, or shifted against the samples"
            if by_heart
            else "gradients arrive and weights move, but nothing is learned: labels that do not belong to the samples, "
            "or a network that cannot tell them apart",
            "look at some samples beside their labels",
        )
