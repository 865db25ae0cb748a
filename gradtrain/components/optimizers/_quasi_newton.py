"""L-BFGS as the textbooks state it: the two loops, and the search for a step that meets the Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from gradtrain.components.optimizers import Evaluate, State
from gradtrain.lazy import Tensor, torch

if TYPE_CHECKING:
    from gradtrain.components.optimizers.lbfgs import Lbfgs

DECREASE, CURVATURE = 1e-4, 0.9
"""The constants c₁ and c₂ of the Wolfe conditions; Nocedal & Wright's for quasi-Newton methods."""


class Trial(NamedTuple):
    """A point of the line p + length d."""

    length: float
    loss: float
    slope: float
    """The loss's derivative along d there."""
    gradient: Tensor


class Descent:
    """One step of a run: iterations over one vector of all weights."""

    def __init__(self, rule: Lbfgs, evaluate: Evaluate, p: list[Tensor], state: State, lr: float) -> None:
        self.rule, self.evaluate, self.like, self.lr = rule, evaluate, p, lr
        self.p = torch.cat([w.flatten() for w in p])
        self.s: list[Tensor] = list(state["s"]) if "s" in state else []
        self.y: list[Tensor] = list(state["y"]) if "y" in state else []
        self.before: tuple[Tensor, Tensor] | None = (state["p"], state["g"]) if "p" in state else None

    def at(self, p: Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient at a vector."""
        parts = torch.split(p, [w.numel() for w in self.like])
        loss, gradient = self.evaluate([part.view_as(w) for part, w in zip(parts, self.like, strict=True)])
        self.evaluations += 1
        return float(loss), torch.cat([g.flatten() for g in gradient])

    def run(self) -> tuple[list[Tensor], list[State]]:
        """The weights and the memory after the step; the memory stands at the first weight."""
        rule = self.rule
        limit = rule.max_eval if rule.max_eval is not None else rule.max_iter * 5 // 4
        self.evaluations = 0
        loss, g = self.at(self.p)
        for iteration in range(1, rule.max_iter + 1):
            if g.abs().max() <= rule.tolerance_grad:
                break
            first = self.before is None
            d = -g if self.before is None else self.direction(g, *self.before)
            self.before = (self.p, g)
            slope = float(g @ d)
            if slope > -rule.tolerance_change:
                break
            length = self.lr * (min(1.0, 1.0 / float(g.abs().sum())) if first else 1.0)
            start, old = self.p, loss
            if rule.line_search == "strong_wolfe":
                found = search(
                    partial(self.trial, start, d), Trial(0.0, loss, slope, g), length,
                    limit - self.evaluations, rule.tolerance_change / float(d.abs().max()),
                )  # fmt: skip
                length, loss, g = found.length, found.loss, found.gradient
                self.p = start + length * d
            else:
                self.p = start + length * d
                if iteration < rule.max_iter:
                    loss, g = self.at(self.p)
            moved = float((length * d).abs().max())
            still = moved <= rule.tolerance_change or abs(loss - old) < rule.tolerance_change
            if iteration == rule.max_iter or self.evaluations >= limit or still:
                break
        parts = torch.split(self.p, [w.numel() for w in self.like])
        return [part.view_as(w) for part, w in zip(parts, self.like, strict=True)], [self.memory()]

    def memory(self) -> State:
        known = {} if self.before is None else {"p": self.before[0], "g": self.before[1]}
        return known | ({"s": torch.stack(self.s), "y": torch.stack(self.y)} if self.s else {})

    def direction(self, g: Tensor, p_before: Tensor, g_before: Tensor) -> Tensor:
        """-H g by the two-loop recursion, after the last change was taken in."""
        s, y = self.p - p_before, g - g_before
        if s @ y > 1e-10:
            self.s, self.y = [*self.s, s][-self.rule.history :], [*self.y, y][-self.rule.history :]
        q, shares = g, []
        for s, y in zip(reversed(self.s), reversed(self.y), strict=True):
            shares.append((s @ q) / (s @ y))
            q = q - shares[-1] * y
        r = q * (self.s[-1] @ self.y[-1]) / (self.y[-1] @ self.y[-1]) if self.s else q
        for s, y, a in zip(self.s, self.y, reversed(shares), strict=True):
            r = r + (a - (y @ r) / (s @ y)) * s
        return -r

    def trial(self, p: Tensor, d: Tensor, length: float) -> Trial:
        loss, gradient = self.at(p + length * d)
        return Trial(length, loss, float(gradient @ d), gradient)


def search(at: Callable[[float], Trial], start: Trial, length: float, limit: int, resolution: float) -> Trial:
    """A length along d that meets the strong Wolfe conditions, after at most `limit` further trials.

    Nocedal & Wright, algorithms 3.5 (lengthen until the line has turned) and 3.6 (narrow), with their cubic
    interpolation; the safeguards are those of PyTorch: a longer trial is 1 to 10 times as long, a trial near an end
    of the bracket for the second time moves a tenth of it inwards, a bracket below `resolution` is narrow enough.
    """

    def decreased(trial: Trial) -> bool:
        return trial.loss <= start.loss + DECREASE * trial.length * start.slope

    def flat(trial: Trial) -> bool:
        return abs(trial.slope) <= -CURVATURE * start.slope

    before, now, tried = start, at(length), 0
    while tried < limit:
        if not decreased(now) or (tried > 1 and now.loss >= before.loss):
            break
        if flat(now):
            return now
        if now.slope >= 0:
            break
        nearest, farthest = now.length + 0.01 * (now.length - before.length), 10 * now.length
        before, now, tried = now, at(lowest(before, now, nearest, farthest)), tried + 1
    else:
        before = start
    low, high = (before, now) if before.loss <= now.loss else (now, before)
    slow = False
    while tried < limit and abs(high.length - low.length) >= resolution:
        inner, outer = sorted((low.length, high.length))
        length, margin = lowest(low, high, inner, outer), 0.1 * (outer - inner)
        near = min(outer - length, length - inner) < margin
        if near and (slow or not inner < length < outer):
            length, near = (outer - margin if outer - length < length - inner else inner + margin), False
        slow = near
        now, tried = at(length), tried + 1
        if not decreased(now) or now.loss >= low.loss:
            low, high = (low, now) if low.loss <= now.loss else (now, low)
            continue
        if flat(now):
            return now
        low, high = now, low if now.slope * (high.length - low.length) >= 0 else high
    return low


def lowest(one: Trial, other: Trial, nearest: float, farthest: float) -> float:
    """Where the cubic through two losses and their slopes is lowest (equation 3.59), between two lengths."""
    a, b = sorted((one, other), key=lambda trial: trial.length)
    first = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.length - b.length)
    if (under := first**2 - a.slope * b.slope) < 0:
        return (nearest + farthest) / 2
    second = math.sqrt(under)
    length = b.length - (b.length - a.length) * (b.slope + second - first) / (b.slope - a.slope + 2 * second)
    return min(max(length, nearest), farthest)
