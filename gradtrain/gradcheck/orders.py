"""Second and higher derivatives: repeated differentiation along a line, and the Hessian's symmetry."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gradtrain.gradcheck.finding import Ledger
from gradtrain.gradcheck.modes import Missing, dual, dual_level, shaken, stays
from gradtrain.gradcheck.probe import Probe, Values
from gradtrain.gradcheck.reverse import Pull, Weights, decide, drowned, rounding_within, turns

SMOOTH = 1e-7
"""Relative error below which a further derivative is right: the one below it, which is differenced, is itself
computed to so many digits only by some special functions."""


def along(probe: Probe, direction: Values, weights: Weights, t: float, order: int) -> list[float]:
    """Derivatives 0 … `order` of <weights, f(point + t direction)> by t, by autograd alone.

    A derivative that is not in the graph counts as zero. Raises `Missing` where an operator has no further one.
    """
    at = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    point: dict[str, Tensor] = {
        name: leaf.detach() + at.to(leaf.dtype) * direction[name] if name in direction else leaf.detach()
        for name, leaf in probe.leaves.items()
    }
    with probe.hold(point):
        outputs = probe.outputs(point)
        value = weighed(outputs, weights)
        return [float(value.detach()), *_repeatedly(value, at, order)]


def weighed(outputs: Values, weights: Weights) -> Tensor:
    """Σ w f. The weights require a gradient: a backward pass that can be differentiated once only then says so."""
    free = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
    return torch.stack([(w * outputs[name]).sum() for name, w in free.items()]).sum()


def _repeatedly(value: Tensor, at: Tensor, order: int) -> list[float]:
    """Derivatives 1 … `order` of a number by another one."""
    found: list[float] = []
    for number in range(1, order + 1):
        if not value.requires_grad:
            break
        try:
            (slope,) = torch.autograd.grad(value, [at], create_graph=number < order, allow_unused=True)
        except Exception as error:  # not implemented, marked once_differentiable, …
            if number == order == 1:  # a first derivative that is to be differentiated again is a mode to offer
                raise
            raise Missing(str(error).partition("\n")[0]) from None
        if slope is None:
            break
        value = slope
        found.append(float(value.detach()))
    return found + [0.0] * (order - len(found))


def once_only(probe: Probe, direction: Values, weights: Weights) -> bool:
    """Whether a part of the backward pass says that it can be differentiated once only.

    torch raises that only where the part is reached, and asks for a leaf that cannot be reached behind it in silence.
    """
    at = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    point = {
        name: leaf.detach() + at.to(leaf.dtype) * direction[name] if name in direction else leaf.detach()
        for name, leaf in probe.leaves.items()
    }
    with probe.hold(point):
        value = weighed(probe.outputs(point), weights)
        (slope,) = torch.autograd.grad(value, [at], create_graph=True, allow_unused=True)
    left = [] if slope is None or slope.grad_fn is None else [slope.grad_fn]
    seen = set(left)
    while left:
        node = left.pop()
        if node.name().endswith("::Error"):
            return True
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                left.append(following)
    return False


def prove_order(probe: Probe, direction: Values, pull: Pull, order: int, ledger: Ledger, **where: object) -> bool:
    """The derivative of this order along a line against differences of the one before it.

    True where it was right or the function does not offer it.
    """
    try:
        automatic = along(probe, direction, pull.weights, 0.0, order)
    except Missing:
        return True
    if not all(map(math.isfinite, automatic)):  # a second derivative need not exist where the first one does
        return True
    size = max(pull.size, *(abs(value) for value in automatic))
    base = automatic[order - 1]

    def line(t: float) -> list[float]:
        try:
            return [along(probe, direction, pull.weights, t, order - 1)[order - 1] - base]
        except (Missing, RuntimeError, ValueError, ArithmeticError, IndexError):
            return [math.nan]

    measured = decide(line, automatic[order], size, probe.epsilon)
    apart = abs(measured.automatic - measured.numeric)
    wrong = measured.verdict == "fail" and apart > probe.slack(SMOOTH) * max(measured.scale, 1e-3 * size)
    if wrong and once_only(probe, direction, pull.weights):
        return True
    if wrong and turns(line, probe.epsilon * size):  # it jumps here: there is no derivative to be right about
        return True
    rough = wrong and drowned(line, apart, rounding_within(probe, direction, pull.weights))
    wrong = wrong and not rough
    known = measured.verdict != "unresolved" and not rough
    note = "" if known else "the differences of the derivative below decide nothing here"
    ledger.write(
        f"order {order}",
        "fail" if wrong else "pass",
        got=measured.automatic,
        expected=measured.numeric,
        digits=measured.digits if known else None,
        note=_wrong(order, automatic[order]) if wrong else note,
        **where,
    )
    return not wrong


def _wrong(order: int, automatic: float) -> str:
    """What a wrong derivative of a right one usually is, and what to do where nobody differentiates again."""
    what = "backward's own derivative" if order == 2 else f"the derivative of order {order}"
    kind = "is zero: the numbers in it know nothing of the inputs" if automatic == 0 else "is wrong"
    return (
        f"the derivative below is right and {what} {kind} (saved results, `.detach()`, numpy?); "
        "mark backward once_differentiable, or check with order=1, if it is never differentiated again"
    )


def prove_symmetry(probe: Probe, one: Values, two: Values, pull: Pull, ledger: Ledger, **where: object) -> None:
    """<u, H v> = <v, H u>: a Hessian is symmetric; and forward over reverse gives the same H u.

    A gradient is linear in what comes in: <w, d<g, u> / dw> = <g, u>, or a double backward is wrong by that.
    """
    try:
        left, right, mass = _hessian(probe, one, two, pull.weights)
        _incoming(probe, one, pull, ledger, **where)
    except Exception:  # no second derivative on offer
        return
    sizes = [float(x.abs().sum()) for x in (*pull.gradient.values(), *pull.weights.values())]
    floor = probe.slack(1e-12) * (pull.size + sum(sizes))
    near = probe.slack(1e-9)

    def again() -> float:
        a, b, _ = _hessian(shaken(probe), one, two, pull.weights)
        return a - b

    holds = not math.isfinite(mass) or abs(left - right) <= near * mass + floor or not stays(left - right, again)
    ledger.write(
        "Hessian symmetry",
        "pass" if holds else "fail",
        got=left,
        expected=right,
        note="" if holds else "the second derivative is no Hessian: a double backward is wrong",
        **where,
    )
    if holds:
        _forward_over_reverse(probe, two, one, right, near * mass + floor, pull.weights, ledger, **where)


def _hessian(probe: Probe, one: Values, two: Values, weights: Weights) -> tuple[float, float, float]:
    names = list(one)
    leaves = [probe.leaves[name] for name in names]
    gradient = _gradient(probe, probe.leaves, names, weights)
    sides = []
    mass = 0.0
    for u, v in ((one, two), (two, one)):
        pairs = [(g, v[name]) for name, g in zip(names, gradient, strict=True) if g is not None and g.requires_grad]
        if not pairs:
            return 0.0, 0.0, math.inf
        found = torch.autograd.grad(
            [g for g, _ in pairs], leaves, [v for _, v in pairs], allow_unused=True, retain_graph=True
        )
        terms = [(h * u[name]).double() for name, h in zip(names, found, strict=True) if h is not None]
        sides.append(sum(float(term.sum()) for term in terms))
        mass += sum(float(term.abs().sum()) for term in terms)
    return sides[0], sides[1], mass


def _gradient(probe: Probe, point: Values, names: Sequence[str], weights: Weights) -> Sequence[Tensor | None]:
    outputs = probe.outputs(point)
    value = weighed(outputs, weights)
    return torch.autograd.grad(value, [point[name] for name in names], create_graph=True, allow_unused=True)


def _incoming(probe: Probe, u: Values, pull: Pull, ledger: Ledger, **where: object) -> None:
    """The derivative of the gradient by the incoming one. Silent where the gradient does not know of it."""
    outputs = probe.outputs()
    free = {name: w.detach().clone().requires_grad_() for name, w in pull.weights.items()}
    value = torch.stack([(w * outputs[name]).sum() for name, w in free.items()]).sum()
    found = torch.autograd.grad(value, [probe.leaves[name] for name in u], create_graph=True, allow_unused=True)
    terms = [(g * u[name]).double() for name, g in zip(u, found, strict=True) if g is not None]
    slope = torch.stack([term.sum() for term in terms]).sum()
    if not slope.requires_grad:
        return
    back = torch.autograd.grad(slope, list(free.values()), allow_unused=True)
    if any(g is None for g in back):
        return
    products = [(w.detach() * g).double() for w, g in zip(free.values(), back, strict=True) if g is not None]
    got, expected = sum(float(product.sum()) for product in products), float(slope.detach())
    mass = sum(float(term.detach().abs().sum()) for term in (*terms, *products))
    holds = not math.isfinite(mass) or abs(got - expected) <= probe.slack(1e-9) * mass + 1e-13 * pull.size
    note = "" if holds else "backward's derivative by the incoming gradient is wrong: its own backward is"
    ledger.write("double backward", "pass" if holds else "fail", got=got, expected=expected, note=note, **where)


def _forward_over_reverse(
    probe: Probe, u: Values, v: Values, expected: float, slack: float, weights: Weights, ledger: Ledger, **where: object
) -> None:
    """<v, tangent of the gradient along u>: silent where forward mode is not on offer."""
    try:
        got = _dual_over(probe, u, v, weights)
    except Exception:  # a mode that a function need not offer
        return

    def again() -> float:
        other = shaken(probe)
        return _dual_over(other, u, v, weights) - _hessian(other, v, u, weights)[0]

    holds = not math.isfinite(slack) or abs(got - expected) <= slack or not stays(got - expected, again)
    ledger.write(
        "forward over reverse",
        "pass" if holds else "fail",
        got=got,
        expected=expected,
        note="" if holds else "the gradient's forward-mode derivative is not its reverse-mode one",
        **where,
    )


def _dual_over(probe: Probe, u: Values, v: Values, weights: Weights) -> float:
    """<v, tangent of the gradient along u>."""
    forward = torch.autograd.forward_ad
    names = list(u)
    with dual_level():
        point = {
            name: dual(leaf, u[name], grad=True) if name in u else leaf.detach() for name, leaf in probe.leaves.items()
        }
        total = 0.0
        with probe.hold(point):
            for name, g in zip(names, _gradient(probe, point, names, weights), strict=True):
                tangent = None if g is None else forward.unpack_dual(g).tangent  # type: ignore[no-untyped-call]
                total += 0.0 if tangent is None else float((tangent * v[name]).detach().double().sum())
    return total
