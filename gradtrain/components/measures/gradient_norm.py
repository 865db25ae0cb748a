"""The length of the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, listed, middle


class GradientNorm(Measure):
    """How long the gradient by every parameter tensor is, and whether it suddenly grows far beyond what it was.

    value     ‖g‖₂ of each tensor, as the update takes it (after clipping)
    paper     a norm far beyond its recent ones comes before the loss's spike: Kumar et al. (2025), ZClip,
              arXiv:2504.02507, by z-scores; here by the ratio to the median of the last 16 looks
    """

    finds = ("gradient_spike",)
    lasts = 1
    cases = [{}, {"spike": 30.0}]

    spike: PositiveFloat = 100.0
    """The norm of all tensors together, as a multiple of its recent median, from which it is a spike."""

    def of(self, look: Look) -> Mapping[str, float]:
        return look.lengths

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if not values:
            return
        whole = look.norm if look.norm is not None else math.hypot(*values.values())
        if not math.isfinite(whole):
            return
        recent = past.setdefault("recent", [])
        usual = middle(recent)
        if len(recent) >= 4 and usual > 0 and look.progress.fallen < 0.5:
            worst = sorted(values, key=lambda name: -values[name])
            layers = list(dict.fromkeys(w.layer for name in worst for w in look.moving if w.name == name))
            yield Sign(
                "gradient_spike",
                whole / usual / self.spike,
                layers[0],
                f"the gradient's norm is {whole:.3g}, {whole / usual:.0f} times its recent median {usual:.3g}, "
                f"longest at {listed(worst)}",
                "a step too large threw the weights to where the loss is steep",
                f"training: {{clip_norm: {_round(2 * usual)}}}",
            )
        recent.append(whole)
        del recent[:-16]


def _round(value: float) -> str:
    return f"{value:.1g}" if value < 1 else f"{value:.2g}"
