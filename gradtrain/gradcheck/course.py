"""An optimizer led along a course: given starts, gradients and rates, step by step. Imports torch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gradtrain.components.optimizers import Evaluate
from gradtrain.gradcheck.finding import Verdict
from gradtrain.gradcheck.rules import RULE_DIGITS, SEARCH_DIGITS, bowl, drawn
from gradtrain.stage import Shape

Factory = Callable[[list[Any]], torch.optim.Optimizer]

Layout = tuple[tuple[tuple[int, ...], float], ...]
"""Parameter groups: the numbers of the weights, in order, and the group's rate as a share of the built one."""

STEPS = 12
"""Some rules change over at the sixth step."""

EPS = 1e-8
"""What gradients are drawn around where the optimizer names no eps of its own."""


RATE = 0.01
"""The rate for an optimizer that is built with 0."""

NEAR_DIGITS = 10
"""Where a gradient and a decay nearly cancel, a rule that divides by the size of what is left magnifies rounding."""


class Halt(Exception):
    """An optimizer cannot be led any further: a check, its verdict and the reason."""

    def __init__(self, check: str, verdict: Verdict, note: str) -> None:
        super().__init__(note)
        self.check, self.verdict, self.note = check, verdict, note


@dataclass(frozen=True)
class Course:
    """Where every weight starts, its gradient at every step, and the factor on the rates at every step."""

    point: str
    start: tuple[Tensor, ...]
    pulls: tuple[tuple[Tensor, ...], ...]
    factors: tuple[float, ...]
    layout: Layout
    rate: float | None
    """The rate that the factory builds with, `RATE` where that is 0; None for an optimizer that has none."""
    evaluate: Evaluate | None = None
    """Loss and gradient at any weights, for an optimizer that asks for them itself."""
    digits: int = RULE_DIGITS
    """On which two ways along it must agree."""

    @property
    def steps(self) -> int:
        return len(self.factors)


@dataclass
class Trail:
    """Where an optimizer, or a rule, went."""

    points: list[list[Tensor]] = field(default_factory=list)
    """After every step, weight by weight."""
    averages: list[list[Tensor]] = field(default_factory=list)
    """The same as `eval()` shows it, for an optimizer that has `eval` and `train`."""
    rates: list[list[float]] = field(default_factory=list)
    """The rate of every step, weight by weight."""
    touched: str = ""
    """The first gradient that a step changed in place."""
    restored: str = ""
    """The first step after which `train()` did not bring back the weights that `eval()` hid."""
    calls: list[int] = field(default_factory=list)
    """How often every step called its closure."""
    silent: str = ""
    """What was wrong about a closure: gradients off inside, its loss not returned."""


def plain(shapes: Collection[Shape], layout: Layout, rate: float | None, generator: torch.Generator) -> Course:
    """Weights near 1 and gradients of sizes 1e-4 … 1, with zeros, and all zero at the third step."""
    start = tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    pulls = tuple(tuple(drawn(w, t, generator) for w in start) for t in range(1, STEPS + 1))
    return Course("gradients of 1e-4 … 1", start, pulls, schedule(rate), layout, rate)


def tiny(
    shapes: Collection[Shape], layout: Layout, rate: float | None, eps: float, generator: torch.Generator
) -> Course:
    """Every element has a size of its own, from a tenth of eps up to ten times its root, at all steps; weights too.

    At a default eps of 1e-8 ordinary gradients hide where it stands: inside or outside a root, before or after
    the correction of the moments.
    """
    low, high = math.log10(eps) - 1, math.log10(eps) / 2 + 1
    sizes = [
        10 ** (low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)) for shape in shapes
    ]
    start = tuple(torch.randn(size.shape, generator=generator, dtype=torch.float64) * size for size in sizes)
    pulls = tuple(
        tuple(
            torch.zeros_like(size)
            if t == 3
            else torch.randn(size.shape, generator=generator, dtype=torch.float64) * size
            for size in sizes
        )
        for t in range(1, STEPS + 1)
    )
    return Course(
        f"gradients of {10**low:.0e} … {10**high:.0e}", start, pulls, schedule(rate), layout, rate, digits=NEAR_DIGITS
    )


def valley(shapes: Collection[Shape], layout: Layout, rate: float | None, generator: torch.Generator) -> Course:
    """A convex function of all weights together, for an optimizer that evaluates it where it likes."""
    start = tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    evaluate = bowl(sum(w.numel() for w in start))
    return Course("a convex function", start, (), schedule(rate)[:6], layout, rate, evaluate, SEARCH_DIGITS)


def schedule(rate: float | None) -> tuple[float, ...]:
    """Half the rate from the fourth step, twice the built one from the ninth."""
    if rate is None:
        return (1.0,) * STEPS
    return tuple(1.0 if t < 4 else 0.5 if t < 9 else 2.0 for t in range(1, STEPS + 1))


def built(factory: Factory, weights: list[nn.Parameter], course: Course) -> torch.optim.Optimizer:
    """The factory's optimizer over the weights: a plain list where there is one group. Raises `Halt`."""
    given: list[Any] = [weights[i] for i in course.layout[0][0]]
    if len(course.layout) > 1:
        given = [{"params": [weights[i] for i in numbers]} for numbers, _ in course.layout]
        for group, (_, share) in zip(given, course.layout, strict=True):
            if course.rate is not None and share != 1:
                group["lr"] = course.rate * share
    optimizer = factory(given)
    groups = getattr(optimizer, "param_groups", None)
    if not isinstance(groups, list) or not callable(getattr(optimizer, "step", None)):
        note = f"the factory returns {type(optimizer).__name__}, which has no `step` and `param_groups`"
        raise Halt("build", "fail", note)
    held = {id(p) for group in groups for p in group["params"]}
    lost = [list(w.shape) for w in weights if id(w) not in held]
    if lost:
        note = f"the optimizer does not hold the parameters that it was given: {', '.join(map(str, lost))} are missing"
        raise Halt("build", "fail", note)
    return optimizer


def walk(
    factory: Factory,
    course: Course,
    *,
    switches: Mapping[str, Any] | None = None,
    last: Mapping[str, Any] | None = None,
    reload: int = 0,
    without: Collection[int] = (),
    closure: bool = False,
    in_place: bool = False,
) -> Trail:
    """Lead a fresh optimizer along the course.

    switches  flags and numbers set in every group before the first step; those of `last` in the last one alone
    reload    after this step a fresh optimizer takes over with `state_dict`
    without   numbers of the weights that never get a gradient
    closure   the gradients come from a closure that is handed to `step`
    in_place  every gradient is written into the memory of the one before

    Raises `Halt` for weights that are no longer what they were, and whatever the optimizer raises.
    """
    torch.manual_seed(0)
    weights = [nn.Parameter(w.clone()) for w in course.start]
    optimizer = built(factory, weights, course)
    if switches is not None:
        for group in optimizer.param_groups:
            group.update(switches)
            if isinstance(group.get("lr"), Tensor):  # which not every path takes
                group["lr"] = float(group["lr"])
    optimizer.param_groups[-1].update(last or {})
    for group in optimizer.param_groups:
        if course.rate is not None and _rate(group) == 0:  # built for a warm-up
            _set(group, course.rate)
    _free(optimizer, weights)
    two_faced = callable(getattr(optimizer, "eval", None)) and callable(getattr(optimizer, "train", None))
    trail, at = Trail(), [_rate(group) for group in optimizer.param_groups]
    for t, factor in enumerate(course.factors, 1):
        if two_faced:
            optimizer.train()  # type: ignore[attr-defined]
        if course.rate is not None and factor != (course.factors[t - 2] if t > 1 else 1.0):
            for group, rate in zip(optimizer.param_groups, at, strict=True):
                _set(group, rate * factor)
        rates = {id(p): _rate(group) for group in optimizer.param_groups for p in group["params"]}
        trail.rates.append([rates[id(w)] for w in weights])
        _step(optimizer, weights, course, trail, t, without, closure, in_place)
        _look(weights, course, t)
        trail.points.append([w.detach().clone() for w in weights])
        if two_faced:
            _other_face(optimizer, weights, trail, t)
        if t == reload:
            saved = copy.deepcopy(optimizer.state_dict())
            weights = [nn.Parameter(w.detach().clone()) for w in weights]
            optimizer = built(factory, weights, course)
            optimizer.load_state_dict(saved)
            _free(optimizer, weights)
    return trail


def _step(
    optimizer: torch.optim.Optimizer,
    weights: list[nn.Parameter],
    course: Course,
    trail: Trail,
    t: int,
    without: Collection[int],
    closure: bool,
    in_place: bool,
) -> None:
    calls, given, loss = 0, [], torch.zeros((), dtype=torch.float64)

    def pull() -> Tensor:
        nonlocal calls, loss
        calls += 1
        if not torch.is_grad_enabled() and not trail.silent:
            trail.silent = f"the closure runs without gradients at step {t}: `loss.backward()` inside would fail"
        if course.evaluate is None:
            loss, gradient = torch.tensor(float(t), dtype=torch.float64), list(course.pulls[t - 1])
        else:
            loss, gradient = course.evaluate([w.detach().clone() for w in weights])
        for number, (weight, g) in enumerate(zip(weights, gradient, strict=True)):
            if in_place and weight.grad is not None:
                weight.grad.copy_(g)
            else:
                weight.grad = None if number in without else g.clone()
        return loss

    for weight in weights:
        weight.grad = weight.grad if in_place else None
    if course.evaluate is not None or closure:
        if course.evaluate is not None:  # some want the first gradient before they are called
            with torch.enable_grad():
                pull()
            calls = 0
        answer: Any = optimizer.step(pull)  # type: ignore[arg-type]
        trail.calls.append(calls)
        if calls and not trail.silent and course.evaluate is None and (answer is None or float(answer) != float(t)):
            trail.silent = f"`step(closure)` returns {answer!r} at step {t}, not the closure's loss"
        return
    pull()
    for weight in weights:
        if weight.grad is not None:
            given.append((weight.grad, weight.grad.clone()))
    optimizer.step()
    for gradient, kept in given:
        if not trail.touched and not torch.equal(gradient, kept):
            trail.touched = f"step {t} changed the gradient of the weight {list(kept.shape)} in place"


def _look(weights: list[nn.Parameter], course: Course, t: int) -> None:
    """Whether the weights still are what they were. Raises `Halt`."""
    for weight, start in zip(weights, course.start, strict=True):
        if weight.shape != start.shape:
            note = f"step {t} turned a weight of shape {list(start.shape)} into {list(weight.shape)}"
            raise Halt("shape", "fail", note)
        if weight.dtype != start.dtype:
            raise Halt("dtype", "fail", f"step {t} turned a float64 weight into {weight.dtype}")
        if not bool(weight.isfinite().all()):
            bad = weight.detach()[~weight.isfinite()].flatten()[0]
            note = f"step {t} makes {float(bad)} in the weight {list(start.shape)} from finite gradients"
            raise Halt("finite", "nonfinite", note)


def _other_face(optimizer: Any, weights: list[nn.Parameter], trail: Trail, t: int) -> None:
    optimizer.eval()
    trail.averages.append([w.detach().clone() for w in weights])
    optimizer.train()
    for weight, before in zip(weights, trail.points[-1], strict=True):
        if not trail.restored and not torch.allclose(weight, before, rtol=1e-9, atol=1e-12):
            trail.restored = f"after step {t} `eval()` and `train()` leave the weight {list(before.shape)} elsewhere"


def _free(optimizer: Any, weights: list[nn.Parameter]) -> None:
    """PyTorch's `differentiable` steps record what they do, which weights that require gradients refuse in place."""
    if getattr(optimizer, "defaults", {}).get("differentiable"):
        for weight in weights:
            weight.requires_grad_(False)


def _rate(group: Mapping[str, Any]) -> float:
    return float(group["lr"]) if "lr" in group else 1.0


def _set(group: dict[str, Any], rate: float) -> None:
    old = group["lr"]
    group["lr"] = torch.full_like(old, rate) if isinstance(old, Tensor) else rate
