"""The size of what layers put out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, rms, sizes


class ActivationScale(Measure):
    """How large the numbers are that every layer puts out, and whether they grow from layer to layer.

    value     RMS of each layer's output
    paper     the variance should stay the same from layer to layer: Glorot & Bengio (2010), AISTATS; He, Zhang, Ren &
              Sun (2015), ICCV, arXiv:1502.01852; sums of residual branches double it: Zhang, Dauphin & Ma (2019),
              ICLR, arXiv:1901.09321
    note      The first step decides: what grows later may have been learned.
    """

    close = True
    finds = ("growing_activations",)
    lasts = 1
    cases = [{}, {"growth": 20.0}]

    growth: PositiveFloat = 8.0
    """Largest RMS of a layer, as a multiple of that of the network's input, or of its first output for symbols."""

    def of(self, look: Look) -> Mapping[str, float]:
        heard = [(layer.name, layer.output) for layer in look.layers if layer.output is not None]
        return dict(zip([name for name, _ in heard], sizes([output for _, output in heard]), strict=True))

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if len(values) < 4 or not past.get("starts", look.step == 1):
            return
        first = look.layers[0]
        real = first.input is not None and first.input.is_floating_point()
        start = rms(first.input) if real and first.input is not None else values[first.name]
        name, most = max(values.items(), key=lambda item: item[1])
        excess = most / max(start, 1.0) / self.growth
        grows = sum(values[layer.name] > 1.5 * start for layer in look.layers) >= 3
        past["starts"] = excess >= 1 and grows
        if not past["starts"]:
            return
        residual = name.count(".") > 0 and any(
            "body" in layer.name or "residual" in layer.name for layer in look.layers
        )
        yield Sign(
            "growing_activations",
            excess,
            name,
            f"numbers grow from RMS {start:.3g} at the input to {most:.3g} there",
            "residual branches add up and nothing scales them" if residual else "weights that start too large",
            "normalization: layer_norm   # and `norm` at the start of every residual body"
            if residual
            else "init: kaiming_normal",
        )
