"""Units at the ends of their range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, optimizer


class Saturation(Measure):
    """The share of outputs of a sigmoid, tanh or softsign that lie at an end of its range, where its slope is near 0.

    value     mean of [|tanh| > 0.97],  of [σ < 0.03 or σ > 0.97],  of [|softsign| > 0.97]
    paper     Glorot & Bengio (2010), AISTATS, on the saturation of hidden layers; the bounds are those of Karpathy,
              makemore part 3 (2022). The threshold lies far above healthy layers, which saturate as they learn
    note      The last layer of a network is left out: it may have to say 0 or 1.
    """

    close = True
    finds = ("saturation",)
    cases = [{}, {"share": 0.3}]
    kinds: ClassVar[tuple[str, ...]] = ("tanh", "sigmoid", "softsign")

    share: PositiveFloat = 0.5
    """Share of a layer's outputs, where the loss has not halved yet."""

    def of(self, look: Look) -> Mapping[str, float]:
        found = {}
        for layer in look.layers[:-1]:
            if layer.component in self.kinds and layer.output is not None:
                a = 2 * layer.output - 1 if layer.component == "sigmoid" else layer.output
                found[layer.name] = float((a.abs() > (0.94 if layer.component == "sigmoid" else 0.97)).float().mean())
        return found

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        if not values or look.progress.fallen > 0.5:
            return
        layer, share = max(values.items(), key=lambda item: item[1])
        early = past.setdefault("first", share) > 0.5 * self.share
        several = [name for name, value in values.items() if value >= self.share]
        more = f"; so in {len(several)} of {len(values)} layers" if len(several) > 1 else ""
        yield Sign(
            "saturation",
            share / self.share,
            layer,
            f"{100 * share:.0f} % of its outputs lie at the ends of its range, where the slope is below 0.06{more}",
            "weights that start too large" if early else "weights that grew too large: the learning rate is too high",
            "init: xavier_normal   # or layer_norm before it" if early else optimizer(look, lr=look.peak / 10),
        )
