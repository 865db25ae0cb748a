"""Whether steps agree with one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PositiveFloat

from gradtrain.components.measures import Look, Measure, Sign, Weight, middle, norms, optimizer
from gradtrain.lazy import Tensor, torch


class GradientCosine(Measure):
    """The angle between the gradient and the mean of those before it: near 1 steps repeat, below 0 they undo.

    value     cos(g_t, m_{t-1}) of each tensor; m_{t-1} from the optimizer's memory, (m_t - (1 - β₁) g_t) / β₁ for Adam
              and its kin, b_t - (1 - dampening) g_t for momentum
    paper     the threshold is ours
    note      Rules without a memory of gradients have none; with weight decay inside the gradient the angle is that
              of gradient and decay together.
    """

    close = True
    finds = ("oscillation",)
    lasts = 4
    cases = [{}, {"least": 0.5}]

    least: PositiveFloat = 0.6
    """-cos, the median over the matrices, from which steps undo one another, where the loss is above the first one."""

    def of(self, look: Look) -> Mapping[str, float]:
        names, gradients, befores = [], [], []
        for weight in look.moving:
            before = _before(weight)
            if before is not None and weight.gradient is not None:
                names.append(weight.name)
                gradients.append(weight.gradient)
                befores.append(before)
        own, theirs = norms(gradients), norms(befores)
        found = {}
        for name, g, before, size, other in zip(names, gradients, befores, own, theirs, strict=True):
            if size > 0 and other > 1e-7 * size:  # what is left of a difference of equals is rounding
                found[name] = float(torch.dot(g.reshape(-1), before.reshape(-1))) / size / other
        return found

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        cosines = {w.layer: values[w.name] for w in look.matrices if w.name in values}
        usual = middle(cosines.values())
        if cosines and usual < 0 and look.progress.falls and look.progress.fallen < 0 and look.step >= 16:
            yield Sign(
                "oscillation",
                -usual / self.least,
                min(cosines, key=lambda name: cosines[name]),
                f"the gradient points against the mean of those before it: cosine {usual:.2f} (median of the matrices)",
                "every step undoes the one before: the learning rate is too high",
                optimizer(look, lr=look.rate / 5),
            )


def _before(weight: Weight) -> Tensor | None:
    g, memory, options = weight.gradient, weight.memory, weight.options
    before: Tensor | None = None
    if g is None:
        return None
    if (m := memory.get("exp_avg")) is not None and "betas" in options and m.shape == g.shape:
        one = options["betas"][0]
        before = torch.sub(m, g, alpha=1 - one) if one else None  # times a number that no angle sees
    elif (b := memory.get("momentum_buffer")) is not None and b.shape == g.shape:
        before = torch.sub(b, g, alpha=1 - options.get("dampening", 0.0))
    return before
