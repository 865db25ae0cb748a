"""How often the gradient is clipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from gradtrain.components.measures import Look, Measure, Sign, middle


class ClipRate(Measure):
    """The norm of the gradient beside the norm at which it is clipped, and how often it is longer.

    value     ‖g‖ / clip_norm before clipping, of the whole network; where elements are cut, and nothing else, the share
              of those that are not 0 that lie at ±clip_value
    paper     clipping is for rare cliffs: Pascanu, Mikolov & Bengio (2013), ICML, arXiv:1211.5063. Where it always acts
              it is the learning rate; the thresholds are ours
    """

    finds = ("always_clipped",)
    cases = [{}, {"share": 0.9, "times": 10.0}]

    share: PositiveFloat = 0.95
    """Share of the last looks at which the gradient was clipped."""
    times: PositiveFloat = 10.0
    """Median of ‖g‖ / clip_norm where the loss stands still: a norm that is just above the limit loses little."""
    falling: PositiveFloat = 3.0
    """Multiple of that where the loss falls: the limit sets the length of steps that are long enough so far."""
    cut: PositiveFloat = 0.5
    """Median share of elements that are cut: more, and the gradient is little else than its sign."""
    window: PositiveInt = 16
    """Looks that count."""

    def of(self, look: Look) -> Mapping[str, float]:
        if look.norm is not None and look.clip:
            return {"": look.norm / look.clip}
        if look.clip_value is None:
            return {}
        gradients = [weight.gradient.abs() for weight in look.moving if weight.gradient is not None]
        some = sum(int((g > 0).sum()) for g in gradients)
        return {"": sum(int((g >= look.clip_value).sum()) for g in gradients) / some} if some else {}

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if not values:
            return
        recent = past.setdefault("recent", [])
        recent.append(values[""])
        del recent[: -self.window]
        if len(recent) < self.window // 2:
            return
        usual = middle(recent)
        if look.clip is None:
            yield Sign(
                "always_clipped",
                usual / self.cut,
                "",
                f"{usual:.0%} of the elements of the gradient are cut to ±{look.clip_value:g} (median of looks)",
                "the limit is far below the usual size: it sets the length of every step",
                "training: {clip_norm: 1.0}   # instead of `clip_value`: it keeps the direction",
            )
            return
        share = sum(value > 1 for value in recent) / len(recent)
        times = self.times if look.progress.stuck else self.times * self.falling
        yield Sign(
            "always_clipped",
            min(share / self.share, usual / times),
            "",
            f"the gradient was clipped at {share:.0%} of the last {len(recent)} looks, its norm is {usual:.3g} times "
            f"the limit {look.clip:g} (median)",
            "the limit is far below the usual norm: it sets the length of every step",
            f"training: {{clip_norm: {2 * usual * look.clip:.1g}}}",
        )
