"""How far the gradient comes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from gradtrain.components.measures import Look, Measure, Sign, Weight, norms


class GradientFlow(Measure):
    """How long the gradient is at the output of every layer: whether it vanishes or explodes on its way to the first.

    value     ‖∂ total / ∂ a‖₂ of each layer's output a; its fall is log₁₀ of the last layer's over the first one's
    paper     Glorot & Bengio (2010), AISTATS: it should keep its size from layer to layer; Hochreiter (1991), thesis
    note      The length, and not the mean size of an element, is compared: it does not shrink because a layer is
              wide. The thresholds are those of `gradtrain explain --batch`. Where the rule makes up for a gradient that
              falls, as Adam does, so that the first layer moves as far as the last one, nothing may be wrong: told at
              `lost` decades, or where the loss still stands after `patience` steps.
    """

    close = True
    finds = ("vanishing", "exploding")
    cases = [{}, {"decades": 4.0, "times": 100.0}]

    decades: PositiveFloat = 3.0
    """Powers of ten between the last layer and the first."""
    lost: PositiveFloat = 6.5
    """The same, where the first layer moves as the last one does."""
    patience: PositiveInt = 48
    """Steps after which such a network should have begun to learn."""
    times: PositiveFloat = 1000.0
    """‖∂ total / ∂ w‖ of a recurrent weight as a multiple of the gradient at the layer's output: it grows on its way
    through time (healthy over 60 steps: about 20)."""

    def of(self, look: Look) -> Mapping[str, float]:
        heard = [(layer.name, layer.gradient) for layer in look.layers if layer.gradient is not None]
        return dict(zip([name for name, _ in heard], norms([g for _, g in heard]), strict=True))

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        recurrent = self._through_time(values, look)
        if recurrent is not None:
            yield recurrent
            return
        path = [(name, size) for name, size in values.items() if size > 0 and math.isfinite(size)]
        if len(path) < 3:
            return
        (first, at_first), (last, at_last) = path[0], path[-1]
        fall = math.log10(at_last / at_first)
        steps = [
            (math.log10(after / before), name) for (name, before), (_, after) in itertools.pairwise(path)
        ]  # from a layer to the one behind it, which the gradient reaches before
        told = f"in length the gradient {'falls' if fall > 0 else 'grows'} by {abs(fall):.1f} decades"
        path_said = f"from `{last}` ({at_last:.2g}) to `{first}` ({at_first:.2g})"
        most = self.lost if self._made_up(look) else self.decades
        if fall > 0.7 * most:
            yield Sign(
                "vanishing",
                fall / most,
                first,
                f"{told} {path_said}, fastest at `{max(steps)[1]}`",
                "every layer passes on only a part of the gradient: the first ones cannot learn",
                "normalization: layer_norm   # and `norm` behind every linear, relu in place of sigmoid and tanh",
            )
        elif -fall > 0.7 * self.decades:
            yield Sign(
                "exploding",
                -fall / self.decades,
                first,
                f"{told} {path_said}, fastest at `{min(steps)[1]}`",
                "every layer passes on more gradient than it got: weights that start too large, or no normalization",
                "init: kaiming_normal   # or `norm` behind every linear, or `clip_norm`",
            )

    def _made_up(self, look: Look) -> bool:
        """Whether the first matrix moves as the last one does, in a run that may still begin to learn."""
        kept = [weight for weight in look.matrices if weight.before is not None]
        if len(kept) < 2 or (look.progress.stuck and look.step >= self.patience):
            return False
        first, last = (_ratio(weight) for weight in (kept[0], kept[-1]))
        return first > 0.1 * last

    def _through_time(self, values: Mapping[str, float], look: Look) -> Sign | None:
        """The explosion inside of a recurrent layer, whose steps are no layers of their own."""
        heard = [w for w in look.moving if "weight_hh" in w.name and w.gradient is not None and values.get(w.layer)]
        sizes = norms([w.gradient for w in heard if w.gradient is not None])
        found = [(size / values[w.layer], size, w) for w, size in zip(heard, sizes, strict=True)]
        times, size, weight = max(found, key=lambda item: item[0], default=(0.0, 0.0, None))
        if weight is None or not self.times < times < math.inf:
            return None
        return Sign(
            "exploding",
            times / self.times,
            weight.layer,
            f"the gradient by `{weight.name}` is {size:.2g}, {times:.2g} times the one that arrives at the layer",
            "every step back through time multiplies the gradient: recurrent weights that are too large",
            'init: [{orthogonal: {gain: 1.0}, params: "*.weight_hh*"}]   # and `clip_norm: 1.0` under `training:`',
        )


def _ratio(weight: Weight) -> float:
    """How far the step moved it, relative to itself."""
    before = weight.value if weight.before is None else weight.before
    moved, size = norms([weight.value - before, before])
    return moved / size if size > 0 else math.inf
