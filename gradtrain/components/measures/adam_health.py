"""What Adam makes of the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, middle, optimizer, sizes
from gradtrain.lazy import torch


class AdamHealth(Measure):
    """The size of Adam's step in units of the learning rate, which should be near 1 and never 0.

    value     RMS of  m̂ / (√v̂ + eps)  of each tensor, m̂ and v̂ the moments of torch's Adam, AdamW, NAdam, RAdam
    paper     Kingma & Ba (2015), arXiv:1412.6980: |step| ≲ lr. Where √v̂ falls below eps the step no longer is rescaled;
              far above 1 it runs ahead of its memory: Wortsman et al. (2023), arXiv:2304.13013
    """

    close = True
    finds = ("small_moments",)
    cases = [{}, {"least": 0.1}]

    least: PositiveFloat = 0.3
    """Median over the tensors of √v̂ / eps below which eps decides."""

    def of(self, look: Look) -> Mapping[str, float]:
        names, steps, roots, times, least = [], [], [], [], []
        for weight in look.moving:
            m, v, t = (weight.memory.get(key) for key in ("exp_avg", "exp_avg_sq", "step"))
            if m is None or v is None or t is None or float(t) < 1 or "betas" not in weight.options:
                continue
            one, two = weight.options["betas"]
            kept = math.sqrt(1 - two ** float(t))
            names.append(weight.name)
            steps.append(m)
            roots.append(v)
            times.append(kept / (1 - one ** float(t)))
            least.append(weight.options["eps"] * kept)
        if not names:
            return {}
        own = torch._foreach_add(torch._foreach_sqrt(roots), least)
        found = sizes(torch._foreach_div(steps, own))
        return {name: time * size for name, time, size in zip(names, times, found, strict=True)}

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if not values or not look.progress.stuck or look.step < 16:
            return
        known = [weight for weight in look.moving if weight.name in values]
        roots = {
            w.name: float(torch.linalg.vector_norm(w.memory["exp_avg_sq"].sqrt())) / math.sqrt(w.value.numel())
            for w in known
        }
        usual, eps = middle(roots.values()), max(weight.options["eps"] for weight in known)
        if usual <= 0:
            return
        worst = min(known, key=lambda weight: roots[weight.name])
        yield Sign(
            "small_moments",
            self.least * eps / usual,
            worst.layer,
            f"√v is {usual:.2g} (median over tensors) beside eps {eps:.2g}: steps are "
            f"{middle(values.values()):.2g} times the learning rate",
            "gradients are so small that eps, and not their size, sets the length of the steps",
            optimizer(look, eps=usual / 100),
        )
