"""Forward mode, repeated and scaled backward passes, batched gradients: derivatives against derivatives."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradtrain.gradcheck.finding import EXACT, Ledger
from gradtrain.gradcheck.probe import Probe, Values, floating
from gradtrain.gradcheck.reverse import Pull, pulls
from gradtrain.gradcheck.trial import scale_of

AGREE = 1e-10
"""Two exact derivatives differ by rounding only: relative to the sum of their terms' magnitudes."""


class Missing(Exception):
    """The function does not offer this mode; the text is its own."""


@contextlib.contextmanager
def dual_level() -> Iterator[None]:
    """Within it numbers may carry tangents. At its first use torch warns of a compiler of its own; that is no news."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit.script", DeprecationWarning)
        with torch.autograd.forward_ad.dual_level():
            yield


def tangents(probe: Probe, direction: Values) -> dict[str, Tensor]:
    """Forward mode: output → derivative along the direction. Raises `Missing` where an operator has none."""
    forward = torch.autograd.forward_ad
    try:
        with dual_level():
            point = {
                name: dual(leaf, direction[name], grad=True) if name in direction else leaf.detach()
                for name, leaf in probe.leaves.items()
            }
            outputs = probe.outputs(point)
            found = {}
            for name, out in outputs.items():
                tangent = forward.unpack_dual(out).tangent  # type: ignore[no-untyped-call]
                found[name] = torch.zeros_like(out) if tangent is None else tangent.detach().clone()
            return found
    except Exception as error:  # operators, custom functions and Python code refuse in many ways
        raise Missing(str(error).partition("\n")[0]) from None


def dual(leaf: Tensor, tangent: Tensor, grad: bool = False) -> Tensor:
    """A copy of a leaf that carries a tangent."""
    copied = leaf.detach().clone().requires_grad_(grad)
    made: Tensor = torch.autograd.forward_ad.make_dual(copied, tangent)  # type: ignore[no-untyped-call]
    return made


def forward_gap(pull: Pull, tangent: Mapping[str, Tensor], direction: Values) -> tuple[float, float, float]:
    """(<w, J u>, <Jᵀw, u>, sum of the magnitudes of their terms)."""
    pushed = [(w * tangent[name]).double() for name, w in pull.weights.items()]
    pulled = [(pull.gradient[name] * u).double() for name, u in direction.items()]
    mass = sum(float(terms.abs().sum()) for terms in (*pushed, *pulled))
    return sum(float(terms.sum()) for terms in pushed), sum(float(terms.sum()) for terms in pulled), mass


def shaken(probe: Probe) -> Probe:
    """The same function a rounding away: an error of algebra stays, an error of rounding does not."""
    generator = torch.Generator().manual_seed(5)
    leaves = {
        name: (leaf.detach() * (1 + 4 * probe.epsilon * torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)))
        .requires_grad_()
        for name, leaf in probe.leaves.items()
    }  # fmt: skip
    return replace(probe, leaves=leaves)


def stays(gap: float, other: Callable[[], float]) -> bool:
    """Whether a gap between two exact derivatives is there a rounding away as well."""
    try:
        return abs(gap - other()) <= 0.2 * abs(gap)
    except Exception:  # out of the domain
        return True


def forward_holds(
    probe: Probe, pull: Pull, tangent: Mapping[str, Tensor], direction: Values
) -> tuple[bool, float, float, float]:
    """(whether forward and reverse mode agree, <w, J u>, <Jᵀw, u>, digits)."""
    pushed, pulled, mass = forward_gap(pull, tangent, direction)
    apart = abs(pushed - pulled)

    def again() -> float:
        other = shaken(probe)
        (same,) = pulls(other, [(pull.of, pull.weights)])
        one, two, _ = forward_gap(same, tangents(other, direction), direction)
        return one - two

    floor = probe.slack(1e-13) * (pull.size + sum(float(w.abs().sum()) for w in pull.weights.values()))
    scale = mass + floor / probe.slack(AGREE)
    digits = EXACT if apart == 0 else min(EXACT, max(0.0, -math.log10(apart / scale))) if scale else 0.0
    holds = apart <= probe.slack(AGREE) * scale or not stays(pushed - pulled, again)
    return holds, pushed, pulled, digits


def exactly(probe: Probe, direction: Values) -> Callable[[Pull], bool]:
    """Whether forward and reverse mode agree along a direction; False where forward mode is missing."""
    cached: list[dict[str, Tensor] | None] = []

    def agree(pull: Pull) -> bool:
        if not cached:
            try:
                cached.append(tangents(probe, direction))
            except Missing:
                cached.append(None)
        tangent = cached[0]
        if tangent is None or any(tangent[name].shape != w.shape for name, w in pull.weights.items()):
            return False
        pushed, pulled, mass = forward_gap(pull, tangent, direction)
        return math.isfinite(mass) and mass > 0 and abs(pushed - pulled) <= probe.slack(AGREE) * mass

    return agree


def prove_repeated(probe: Probe, pull: Pull, ledger: Ledger, **where: object) -> None:
    """The same call twice gives the same bits, and so does its backward pass."""
    (again,) = pulls(probe, [(pull.of, pull.weights)])
    worst = apart(pull.gradient, again.gradient)
    ledger.write(
        "backward twice",
        "pass" if worst <= 1e-13 else "nondeterministic",
        note="" if worst <= 1e-13 else f"two backward passes from the same state differ by {worst:.1e} relatively",
        **where,
    )


def prove_linear(probe: Probe, pull: Pull, ledger: Ledger, **where: object) -> None:
    """Backward is linear in what comes in: a thousand times the incoming gradient gives a thousand times the result."""
    factor = 1024.0
    big, nothing = pulls(
        probe,
        [
            (pull.of, {name: factor * w for name, w in pull.weights.items()}),
            (pull.of, {name: torch.zeros_like(w) for name, w in pull.weights.items()}),
        ],
    )
    worst = apart({name: factor * g for name, g in pull.gradient.items()}, big.gradient)
    left = max((float(g.abs().max()) for g in nothing.gradient.values() if g.numel()), default=0.0)
    note = (
        f"an incoming gradient of zero gives {left:.3g}"
        if left > 0
        else f"{factor:g} times the incoming gradient gives another multiple: {worst:.1e} apart relatively"
    )
    holds = worst <= probe.slack(1e-9) and left == 0
    ledger.state("linearity", holds, note, **where)


def prove_batched(probe: Probe, names: Sequence[str], pull: Pull, ledger: Ledger, **where: object) -> None:
    """`vmap` of the gradient over three points against three gradients. Silent where a function cannot be mapped."""
    if probe.kept.random or probe.kept.moving or probe.kept.counting or not names:
        return

    def scalar(values: Sequence[Tensor]) -> Tensor:
        outputs = floating(probe.call({**probe.leaves, **dict(zip(names, values, strict=True))}))
        return torch.stack([(w * outputs[name]).sum() for name, w in pull.weights.items()]).sum()

    points = [[probe.leaves[name].detach() * (1 + 0.01 * number) for name in names] for number in range(3)]
    try:
        mapped = torch.func.vmap(torch.func.grad(scalar))([torch.stack(each) for each in zip(*points, strict=True)])
    except Exception:  # a mode that a function need not offer
        return
    natural = {name: probe.slack(1e-12) * pull.size / scale_of(probe.leaves[name]) for name in names}
    worst = 0.0
    for number, point in enumerate(points):
        fresh = [value.detach().requires_grad_() for value in point]
        single = torch.autograd.grad(scalar(fresh), fresh, allow_unused=True)
        expected = {n: torch.zeros_like(x) if g is None else g for n, x, g in zip(names, fresh, single, strict=True)}
        if number == 0 and apart(expected, {name: pull.gradient[name] for name in names}) > probe.slack(1e-9):
            return  # a part of it is computed anew in backward, when other tensors stand in the places of its own
        worst = max(worst, apart(expected, {name: g[number] for name, g in zip(names, mapped, strict=True)}, natural))
    note = (
        f"`torch.func.vmap` of the gradient differs from a loop over the points by {worst:.1e} relatively: "
        "numbers of different points are mixed (a vmap rule with the wrong axis?)"
    )
    ledger.state("batched gradient", worst <= probe.slack(1e-9), note, **where)


def apart(a: Mapping[str, Tensor], b: Mapping[str, Tensor], natural: Mapping[str, float] | None = None) -> float:
    """The largest difference, relative to the largest magnitude of each tensor; below `natural` it is rounding."""
    worst = 0.0
    for name, one in a.items():
        if one.numel() and not torch.equal(one, b[name]):
            both = torch.isnan(one) & torch.isnan(b[name])
            apart = float((one - b[name]).masked_fill(both, 0.0).abs().max())
            if natural is not None and apart <= natural[name]:
                continue
            largest = float(one.abs().nan_to_num(0.0, 0.0, 0.0).max())
            worst = max(worst, apart / largest if largest else math.inf if apart else 0.0)
    return worst if not math.isnan(worst) else math.inf
