"""What a wrong optimizer's difference looks like: known mistakes are tried, others described. Imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gradtrain.components.optimizers import Evaluate, State
from gradtrain.gradcheck.course import Course, Trail
from gradtrain.gradcheck.published import Published, Update, follow, plainly
from gradtrain.gradcheck.trails import agrees, beside, rounded

NOTICED = 1e-6
"""Increments that differ by less, relative to the largest, are taken for the same."""


@dataclass(frozen=True)
class Case:
    """One course, the way the optimizer took and the way the rules would take."""

    course: Course
    rules: list[Published]
    got: Trail
    expected: Trail

    @property
    def agrees(self) -> bool:
        """Whether the optimizer follows the rules."""
        return self.follows(self.expected)

    def follows(self, way: Trail) -> bool:
        return agrees(self.got, way, self.course.digits)


def explained(cases: list[Case]) -> str:
    """The mistake that, made on purpose, gives the optimizer's own numbers on every course; "" where none does."""
    wrong = [case for case in cases if not case.agrees]
    if not wrong:
        return ""
    if cases[0].course.evaluate is not None:
        one = cases[0]
        for said, bent in _sharpened(one.rules[0].rule):
            if one.follows(follow([Published(bent)] * len(one.rules), one.course, one.expected.rates)):
                return said
        return ""
    for said, rates in _rates(cases):
        if all(_matches(case, way, plainly) for case, way in zip(cases, rates, strict=True)):
            return said
    for said, update in _mistakes(cases[0].rules[0]):
        if all(_matches(case, case.expected.rates, update) for case in cases):
            return said
    return ""


def counted_in_single(cases: list[Case]) -> bool:
    """Whether the rule agrees, to within a rounding, with 1 - beta^t computed in float32, as of a step in a tensor."""

    def update(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        first, second = (
            (1 - beta**t) / float(1 - beta ** torch.tensor(t, dtype=torch.float32)) for beta in rule.rule.betas
        )
        late = math.sqrt(1 / second)
        return plainly(rule.varied(eps=rule.rule.eps * late), g, p, state, t, lr * first * late)

    if not all(rule.has("betas", "eps") for case in cases for rule in case.rules):
        return False
    ways = [follow(case.rules, case.course, case.expected.rates, update) for case in cases]
    return all(rounded(beside(case.got, way), case.course) for case, way in zip(cases, ways, strict=True))


def _matches(case: Case, rates: list[list[float]], update: Update) -> bool:
    try:
        return case.follows(follow(case.rules, case.course, rates, update))
    except Exception:  # not every mistake can be made in every rule
        return False


def _rates(cases: list[Case]) -> Iterator[tuple[str, list[list[list[float]]]]]:
    ways = [case.expected.rates for case in cases]
    yield "every group learns at the rate of the first one", [[[row[0]] * len(row) for row in way] for way in ways]
    yield "every group learns at the rate of the last one", [[[row[-1]] * len(row) for row in way] for way in ways]
    yield (
        'the rate is kept as it was built: a schedule that sets group["lr"] changes nothing',
        [[way[0] for _ in way] for way in ways],
    )
    yield (
        "neither the rate of the group nor that of a schedule is used",
        [[[way[0][0]] * len(row) for row in way] for way in ways],
    )


def _mistakes(rule: Published) -> Iterator[tuple[str, Update]]:
    yield "the sign of the gradient: it steps up, not down", _varied(lambda r, t, lr: replace(r, ascends=not r.ascends))
    yield "the step is counted twice: the rule agrees at t = 2, 4, 6, …", _counted(lambda t: 2 * t)
    yield "the step is counted one ahead: the rule agrees at t = 2, 3, 4, …", _counted(lambda t: t + 1)
    yield "the bias of the moments is not corrected: the rule agrees with 1 - beta^t = 1", _counted(lambda t: 10**9)
    yield "the step is not counted: the rule agrees at t = 1, 1, 1, …", _counted(lambda t: 1)
    yield from _switched(rule)
    if rule.has("weight_decay") and (decay := rule.decoupled or rule.rule.weight_decay):
        yield from _decayed(decay)
    if rule.has("betas"):
        b1, b2 = rule.rule.betas
        yield "the two betas are swapped", _varied(lambda r, t, lr: r.varied(betas=(b2, b1)))
        yield (
            f"betas[1] = {b2:g} stands where betas[0] = {b1:g} belongs: the step is taken along the updated average",
            _varied(lambda r, t, lr: r.varied(betas=(b2, b2))),
        )
        yield f"betas[0] = {b1:g} stands for both betas", _varied(lambda r, t, lr: r.varied(betas=(b1, b1)))
    if rule.has("eps"):
        yield from _placed(rule)
    if rule.has("momentum"):
        yield from _rolling(rule.rule.momentum)
    if rule.has("rho", "eps"):
        yield "eps stands outside both roots: (√u + eps) / (√v + eps), not √(u + eps) / √(v + eps)", _outside


def _varied(change: Callable[[Published, int, float], Published]) -> Update:
    def update(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        return plainly(change(rule, t, lr), g, p, state, t, lr)

    return update


def _counted(count: Callable[[int], int]) -> Update:
    def update(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        return plainly(rule, g, p, state, count(t), lr)

    return update


def _switched(rule: Published) -> Iterator[tuple[str, Update]]:
    def turned(name: str) -> Update:
        return _varied(lambda r, t, lr: r.varied(**{name: not getattr(r.rule, name)}))

    for name in ("nesterov", "amsgrad", "centered", "corrected"):
        if rule.has(name):
            said = f"the rule agrees with {name} = {not getattr(rule.rule, name)}"
            if name == "nesterov" and rule.rule.nesterov:
                said += ": looking ahead along the old buffer, g + momentum b, is plain momentum"
            yield said, turned(name)


def _decayed(decay: float) -> Iterator[tuple[str, Update]]:
    def bare(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        return plainly(replace(rule, decoupled=0.0).varied(weight_decay=0.0), g, p, state, t, lr)

    def penalty(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        return bare(rule, g + (-decay if rule.ascends else decay) * p, p, state, t, lr)

    def before(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        return bare(rule, g, (1 - lr * decay) * p, state, t, lr)

    def after(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        weight, memory = bare(rule, g, p, state, t, lr)
        return (1 - lr * decay) * weight, memory

    def unscaled(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        return bare(rule, g, (1 - decay) * p, state, t, lr)

    yield f"the weight decay of {decay:g} is not applied at all", bare
    yield (
        "the weight decay is added to the gradient (an L2 penalty, rescaled with it) instead of shrinking the weights",
        penalty,
    )
    yield "the weight decay shrinks the weights directly instead of entering the gradient", before
    yield "the weight decay is applied after the step, to the new weights, not before", after
    yield "the weight decay is not multiplied by the rate", unscaled


def _placed(rule: Published) -> Iterator[tuple[str, Update]]:
    """eps in other places; the root's size is read from the rule's memory after the step."""
    eps, key = float(rule.rule.eps), "v" if "v" in rule.init(torch.zeros(1, 1)) else "a"

    def uncorrected(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        late = eps / math.sqrt(1 - rule.rule.betas[1] ** t)
        return plainly(rule.varied(eps=late), g, p, state, t, lr)

    def early(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        return plainly(rule.varied(eps=eps * math.sqrt(1 - rule.rule.betas[1] ** t)), g, p, state, t, lr)

    def inside(under: float, corrected: bool) -> Update:
        def update(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
            after = plainly(rule, g, p, state, t, lr)[1]
            v = after["v"] - after["a"] ** 2 if rule.has("centered") and rule.rule.centered else after[key]
            v = after["top"] if rule.has("amsgrad") and rule.rule.amsgrad else v
            scale = 1 - rule.rule.betas[1] ** t if rule.has("betas") else 1.0
            v = v / scale
            place = (v + (under if corrected else under / scale)).sqrt() - v.sqrt()
            return plainly(rule.varied(eps=place), g, p, state, t, lr)

        return update

    if rule.has("betas"):
        yield "eps is added before the bias correction: to √v, not to √(v / (1 - beta2^t))", uncorrected
        yield "eps is rescaled with the bias correction: by √(1 - beta2^t)", early
    yield "eps is left out", _varied(lambda r, t, lr: r.varied(eps=0.0))
    if key in rule.init(torch.zeros(1, 1)):
        for corrected in (True, False):
            yield "eps stands inside the root: √(v + eps), not √v + eps", inside(eps, corrected)
            yield "eps stands inside the root, squared: √(v + eps²), not √v + eps", inside(eps**2, corrected)


def _rolling(momentum: float) -> Iterator[tuple[str, Update]]:
    """PyTorch's momentum, b ← μ b + g, with the mistakes that only later steps show."""

    def pulled(rule: Published, g: Tensor, p: Tensor) -> Tensor:
        g = -g if rule.ascends else g
        return g + float(rule.rule.weight_decay) * p

    def average(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        b = momentum * state.get("b", torch.zeros_like(g)) + (1 - momentum) * pulled(rule, g, p)
        return p - lr * b, {"b": b}

    def later(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        g = pulled(rule, g, p)
        b = momentum * state["b"] + (1 - momentum) * g if t > 1 else g
        return p - lr * b, {"b": b}

    def inner(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        b = momentum * state.get("b", torch.zeros_like(g)) + lr * pulled(rule, g, p)
        return p - b, {"b": b}

    if not momentum:
        return
    yield "the buffer is an average that starts at 0, so that even its first gradient is damped", average
    yield "gradients after the first enter the buffer damped by 1 - momentum", later
    yield "the rate stands inside the buffer, so that a schedule acts late (Sutskever et al. 2013)", inner
    yield "momentum is not used", _varied(lambda r, t, lr: r.varied(momentum=0.0))


def _outside(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
    rho, eps = rule.rule.rho, rule.rule.eps
    g = (-g if rule.ascends else g) + rule.rule.weight_decay * p
    v = rho * state["v"] + (1 - rho) * g**2
    s = (state["u"].sqrt() + eps) / (v.sqrt() + eps) * g
    return p - lr * s, {"v": v, "u": rho * state["u"] + (1 - rho) * s**2}


class _Sharpened:
    """Sharpness-aware steps with a mistake: `stays` where it looked, or measures ‖g‖ tensor by tensor (`apart`)."""

    def __init__(self, rule: Any, stays: bool = False, apart: bool = False, looks: bool = True) -> None:
        self.rule, self.stays, self.apart, self.looks = rule, stays, apart, looks
        self.init = rule.init

    def descend(
        self, evaluate: Evaluate, p: list[Tensor], states: list[State], t: int, lr: list[float]
    ) -> tuple[list[Tensor], list[State]]:
        gradient = evaluate(p)[1]
        whole = torch.cat([g.flatten() for g in gradient]).norm()
        lengths = [g.norm() if self.apart else whole for g in gradient]
        away = [self.rule.rho * g / (n + 1e-12) for g, n in zip(gradient, lengths, strict=True)]
        there = [w + e for w, e in zip(p, away, strict=True)]
        worst = evaluate(there)[1] if self.looks else gradient
        start = there if self.stays else p
        steps = [self.rule.update(g, w, s, t, r) for g, w, s, r in zip(worst, start, states, lr, strict=True)]
        return [weight for weight, _ in steps], [memory for _, memory in steps]


def _sharpened(rule: Any) -> Iterator[tuple[str, _Sharpened]]:
    if not isinstance(getattr(rule, "rho", None), float):
        return
    yield "the weights are not restored: it steps from the point where it looked", _Sharpened(rule, stays=True)
    yield "the length of the gradient is taken tensor by tensor, not over all weights", _Sharpened(rule, apart=True)
    yield "it never looks at the worst point nearby", _Sharpened(rule, looks=False)


def described(cases: list[Case]) -> str:
    """Where and how the ways part, for a mistake that nobody has made before."""
    case = next(case for case in cases if not case.agrees)
    parts = [part for part in (_when(case), _where(case), _size(case), _near_eps(case, cases)) if part]
    return "; ".join(parts)


def _increments(case: Case, way: Trail, t: int) -> list[Tensor]:
    before = case.course.start if t == 1 else way.points[t - 2]
    return [after - start for after, start in zip(way.points[t - 1], before, strict=True)]


def _parted(case: Case, number: int, t: int) -> bool:
    """Whether the step itself, not what steps before it left, differs for a weight."""
    mine, other = (_increments(case, way, t)[number] for way in (case.got, case.expected))
    largest = max((float(x.abs().max()) for x in (mine, other) if x.numel()), default=0.0)
    return bool(((mine - other).abs() > NOTICED * largest + 1e-15).any())


def _when(case: Case) -> str:
    steps, weights = range(1, case.course.steps + 1), range(len(case.course.start))
    parted = [t for t in steps if any(_parted(case, number, t) for number in weights)]
    if not parted:
        return ""
    first, factors = parted[0], case.course.factors
    if parted == [first] and first > 1:
        return f"only step {first} differs: a threshold between two forms of the step lies elsewhere"
    if first == 1:
        return "differs from the first step on"
    if first == 2:
        return "first differs at step 2, the first one that meets what a step before it left in the state"
    if factors[first - 1] != factors[first - 2]:
        return f"first differs at step {first}, where the rate changes"
    if first in (3, 4):
        return f"first differs at step {first}: at step 3 every gradient is 0"
    return f"first differs at step {first}: the steps before agree"


def _where(case: Case) -> str:
    weights = range(len(case.course.start))
    steps = range(1, case.course.steps + 1)
    wrong = [number for number in weights if any(_parted(case, number, t) for t in steps)]
    if not wrong or len(wrong) == len(weights):
        return ""
    for place, (numbers, _) in enumerate(case.course.layout):
        if wrong == sorted(numbers):
            return f"only the weights of group {place} differ"
    shapes = ", ".join(str(list(case.course.start[number].shape)) for number in wrong)
    return f"only the weight{'s' * (len(wrong) != 1)} {shapes} of {len(weights)} differ{'s' * (len(wrong) == 1)}"


def _size(case: Case) -> str:
    """The ratio of the two steps where they first differ, if it is one number everywhere."""
    for t in range(1, case.course.steps + 1):
        for number in range(len(case.course.start)):
            if not _parted(case, number, t):
                continue
            mine, other = (_increments(case, way, t)[number] for way in (case.got, case.expected))
            large = other.abs() > 1e-3 * other.abs().max()
            if not bool(large.any()):
                return "a step is taken where the rule takes none"
            ratios = (mine / other)[large]
            ratio = float(ratios.median())
            alike = bool(((ratios - ratio).abs() <= 1e-6 * max(abs(ratio), 1e-12)).all())
            if alike and len(ratios) > 1:
                return f"its step {t} is {ratio + 0.0:.6g} times the published one in every element"
            return ""
    return ""


def _near_eps(case: Case, cases: list[Case]) -> str:
    """Whether the elements with the smallest gradients differ and the others do not."""
    tiny = next((c for c in cases if c.course.pulls and c is not cases[0]), None)
    if tiny is None or tiny.agrees or float(_off(cases[0]).median()) > 1e-3:
        return ""
    pulls, many = tiny.course.pulls, range(len(tiny.course.start))
    sizes = torch.cat([torch.stack([row[number].abs() for row in pulls]).mean(0).flatten() for number in many])
    off, order = _off(tiny), sizes.argsort()
    third = len(order) // 3
    small, large = float(off[order[:third]].median()), float(off[order[-third:]].median())
    if small > NOTICED and large < small / 20:
        limit = float(sizes[order[third]])
        return f"differs where the gradient is near eps (below about {limit:.0e}): eps stands in another place"
    return ""


def _off(case: Case) -> Tensor:
    """By how much of its way every element is off at the end."""
    mine, other = (
        torch.cat([(end - start).flatten() for end, start in zip(way.points[-1], case.course.start, strict=True)])
        for way in (case.got, case.expected)
    )
    return (mine - other).abs() / torch.maximum(mine.abs(), other.abs()).clamp(min=1e-300)
