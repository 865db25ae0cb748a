"""How much of a gradient is the chance of its batch."""

from __future__ import annotations

from collections.abc import Mapping

from gradtrain.components.measures import Look, Measure
from gradtrain.lazy import torch


class NoiseScale(Measure):
    """The batch size at which noise and signal of the gradient are equally strong: below it larger batches pay.

    With k micro-batches of b samples, g_i their gradients and g the mean of these, over all weights:

    value     B = tr Σ / |G|²,  tr Σ = (mean |g_i|² - |g|²) / (1/b - 1/(k b)),  |G|² = |g|² - tr Σ / (k b)
    paper     McCandlish, Kaplan & Amodei (2018), arXiv:1812.06162, appendix A.1
    note      Needs `training.accumulate` above 1; inf where noise is all there is. One look is a rough estimate.
    """

    close = True

    def of(self, look: Look) -> Mapping[str, float]:
        heard = [weight.parts for weight in look.moving if len(weight.parts) > 1]
        if not heard or look.samples < 1:
            return {}
        k = min(len(parts) for parts in heard)
        small = sum(float(torch.linalg.vector_norm(p)) ** 2 for parts in heard for p in parts[:k]) * k  # shares 1/k
        large = sum(float(torch.linalg.vector_norm(torch.stack(list(parts[:k])).sum(dim=0))) ** 2 for parts in heard)
        b = look.samples
        noise = (small - large) / (1 / b - 1 / (k * b))
        signal = large - noise / (k * b)
        return {"": noise / signal if signal > 0 else float("inf")}
