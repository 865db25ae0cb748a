"""Where attention looks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from gradtrain.components.measures import Heard, Look, Measure, Sign, optimizer
from gradtrain.lazy import torch


class AttentionEntropy(Measure):
    """How widely attention spreads: 1 where it looks at everything alike, 0 where every step looks at one other.

    value     mean over samples, heads and steps of  -Σ_j p_j log p_j / log n,  n the steps that may be looked at
    paper     Zhai et al. (2023), ICML, arXiv:2303.06296: training fails where it collapses; the threshold is ours
    note      Computed again for the first samples of the batch, without dropout.
    """

    close = True
    finds = ("entropy_collapse",)
    cases = [{}, {"samples": 2}]

    least: PositiveFloat = 0.02
    """Entropy below which attention has collapsed, where the loss has not halved."""
    samples: PositiveInt = 4
    """Samples that it is computed for."""

    def of(self, look: Look) -> Mapping[str, float]:
        return {layer.name: value for layer in look.layers if (value := self._entropy(layer)) is not None}

    def _entropy(self, layer: Heard) -> float | None:
        module: Any = layer.module
        if layer.input is None or not hasattr(module, "qkv") or not hasattr(module, "_heads") or layer.inputs[1:]:
            return None
        x = layer.input[: self.samples]
        q, k, _ = module._heads(x, None)
        if module.cosine is not None:
            q, k = _turned(module, q), _turned(module, k)
        scores = (q.float() @ k.float().transpose(-2, -1)) / math.sqrt(q.shape[-1])
        time = scores.shape[-1]
        seen = torch.full((time,), float(time))
        if module.causal:
            past = torch.ones(time, time, dtype=torch.bool, device=scores.device).tril()
            scores, seen = scores.masked_fill(~past, float("-inf")), torch.arange(1, time + 1)
        p = scores.softmax(dim=-1)
        entropy = -(p * p.clamp(min=1e-30).log()).sum(dim=-1)  # [batch, heads, time]
        wide = seen > 1
        if not bool(wide.any()):
            return None
        return float((entropy[..., wide] / seen[wide].log().to(entropy)).mean())

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if not values or look.progress.fallen > 0.5:
            return
        name, least = min(values.items(), key=lambda item: item[1])
        yield Sign(
            "entropy_collapse",
            self.least / max(least, 1e-9),
            name,
            f"every step looks at one other step only: entropy {least:.2g} of 1",
            "queries and keys have grown: the softmax is saturated and passes no gradient",
            optimizer(look, lr=look.peak / 3),
        )


def _turned(module: Any, x: Any) -> Any:
    """Rotary positions, as the module turns them."""
    first, second = x.chunk(2, dim=-1)
    c, s = module.cosine[: x.shape[-2]], module.sine[: x.shape[-2]]
    return torch.cat([first * c - second * s, second * c + first * s], dim=-1)
