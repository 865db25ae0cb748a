"""Proofs of what has no gradient of its own: the optimizers' rules, the schedules, the initializers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from gradtrain.components.initializers import Initializer
from gradtrain.components.optimizers import Evaluate, Optimizer
from gradtrain.components.schedules import Schedule
from gradtrain.gradcheck.finding import Ledger
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem
from gradtrain.stage import Misfit, Shape

STEPS = 6
"""The first step cannot tell momentum's variants apart; some rules change behaviour at the sixth."""

RULE_DIGITS = 12
"""Nothing cancels here: an optimizer's step and its published rule do the same few operations an element."""

SEARCH_DIGITS = 10
"""A line search interpolates differences of nearly equal losses, and its lengths are as good as those."""

WEIGHTS: tuple[tuple[Shape, ...], ...] = (((3, 4), (5,)), ((4, 2),))
"""Two parameter groups; the second one learns at a third of the rate."""

FILLED: tuple[Shape, ...] = ((256, 200), (128, 32, 3, 3), (200, 200))
"""Weights large enough to know their moments to a few per cent: a matrix, a filter bank, a square matrix."""

RUNS = (1, 7, 100)
"""Lengths of the runs that a schedule is followed through."""


def prove_optimizer(optimizer: Optimizer, ledger: Ledger, generator: torch.Generator) -> None:
    """Every implementation on offer against `init` and `update`, step by step, in float64."""
    shapes = [[shape for shape in group if _takes(optimizer, shape)] for group in WEIGHTS]
    start = [[torch.randn(shape, generator=generator, dtype=torch.float64) for shape in group] for group in shapes]
    pulls = [[[drawn(w, t, generator) for w in group] for group in start] for t in range(1, STEPS + 1)]
    for number, implementation in enumerate(optimizer.implementations):
        with ledger.attempt("update", sample=number, point=implementation):
            if optimizer.closure:
                _descend(optimizer, implementation, start, ledger, number)
                continue
            _follow(optimizer, implementation, start, pulls, ledger, number)


def _takes(optimizer: Optimizer, shape: Shape) -> bool:
    """Some rules are for matrices only and refuse the rest."""
    try:
        optimizer.build(
            [{"params": [torch.zeros(shape, dtype=torch.float64, requires_grad=True)]}],
            optimizer.implementations[0],
        )
    except (ValueError, Problem):
        return False
    return True


def drawn(weight: Tensor, t: int, generator: torch.Generator) -> Tensor:
    """A gradient of sizes 1e-4 … 1, so that eps shows its place, with zeros; all zero at the third step."""
    g = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    g = g * 10 ** (-4 * torch.rand(weight.shape, generator=generator, dtype=torch.float64))
    g[torch.rand(weight.shape, generator=generator) < 0.2] = 0.0
    return torch.zeros_like(g) if t == 3 else g


def _follow(
    optimizer: Optimizer,
    implementation: str,
    start: list[list[Tensor]],
    pulls: list[list[list[Tensor]]],
    ledger: Ledger,
    number: int,
) -> None:
    weights = [[w.clone().requires_grad_() for w in group] for group in start]
    rates = [optimizer.lr, optimizer.lr / 3]
    groups: list[dict[str, Any]] = [
        {"params": group, "lr": rate} for group, rate in zip(weights, rates, strict=True) if group
    ]
    built = optimizer.build(groups, implementation)
    expected = [[w.clone() for w in group] for group in start]
    memory = [[optimizer.init(w) for w in group] for group in expected]
    for t, pull in enumerate(pulls, 1):
        if t == 4:  # as a schedule does it
            rates = [rate / 2 for rate in rates]
            for group, rate in zip(
                built.param_groups, [r for r, w in zip(rates, weights, strict=True) if w], strict=True
            ):
                group["lr"] = rate
        for i, rate in enumerate(rates):
            for j, weight in enumerate(weights[i]):
                weight.grad = pull[i][j].clone()
                expected[i][j], memory[i][j] = _pure_update(
                    optimizer, pull[i][j], expected[i][j], memory[i][j], t, rate, ledger
                )
        built.step()
        for i, group_ in enumerate(weights):
            for j, weight in enumerate(group_):
                point = f"{implementation}, step {t}, group {i}, weight {list(weight.shape)}"
                ledger.compare("update", weight, expected[i][j], digits=RULE_DIGITS, sample=number, point=point)
                ledger.state(
                    "dtype",
                    weight.dtype == torch.float64,
                    f"float64 weights became {weight.dtype}",
                    sample=number,
                    point=point,
                )


def _descend(optimizer: Optimizer, implementation: str, start: list[list[Tensor]], ledger: Ledger, number: int) -> None:
    """A rule that asks for gradients itself, on a convex function of all weights together, against `descend`."""
    if not optimizer.grouped:
        start = [[weight for group in start for weight in group]]
    evaluate = bowl(sum(weight.numel() for group in start for weight in group))
    weights = [[w.clone().requires_grad_() for w in group] for group in start]
    flat = [w for group in weights for w in group]
    groups = [{"params": group, "lr": optimizer.lr / 3**i} for i, group in enumerate(weights)]
    built = optimizer.build(groups, implementation)
    expected = [w.clone() for group in start for w in group]
    memory = [optimizer.init(w) for w in expected]

    def closure() -> float:
        loss, gradient = evaluate([w.detach() for w in flat])
        for weight, g in zip(flat, gradient, strict=True):
            weight.grad = g
        return float(loss)

    for t in range(1, STEPS + 1):
        rates = [optimizer.lr / 3**i / (2 if t > 3 else 1) for i in range(len(groups))]  # as a schedule does it
        for group, rate in zip(built.param_groups, rates, strict=True):
            group["lr"] = rate
        spread = [rate for rate, group in zip(rates, weights, strict=True) for _ in group]
        expected, memory = optimizer.descend(evaluate, expected, memory, t, spread)
        built.step(closure)
        for weight, textbook in zip(flat, expected, strict=True):
            point = f"{implementation}, step {t}, weight {list(weight.shape)}"
            ledger.compare("update", weight, textbook, digits=SEARCH_DIGITS, sample=number, point=point)


def bowl(n: int) -> Evaluate:
    """½ (p - c)ᵀ A (p - c) + Σ log(1 + exp p) over all weights in one vector, with its gradient by hand.

    Strongly convex and no quadratic: A = I + B Bᵀ of rank 2, curvatures between 1 and about n.
    """
    line = torch.linspace(-1, 1, n, dtype=torch.float64)
    b = torch.stack([line, line.cos()], dim=1)
    c = 2 * (7 * line).sin()

    def evaluate(p: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        flat = torch.cat([w.flatten() for w in p])
        pull = flat - c + b @ (b.T @ (flat - c))
        loss = (flat - c) @ pull / 2 + torch.logaddexp(flat, torch.zeros_like(flat)).sum()
        parts = torch.split(pull + flat.sigmoid(), [w.numel() for w in p])
        return loss, [part.view_as(w) for part, w in zip(parts, p, strict=True)]

    return evaluate


def _pure_update(
    optimizer: Optimizer, g: Tensor, p: Tensor, state: dict[str, Tensor], t: int, lr: float, ledger: Ledger
) -> tuple[Tensor, dict[str, Tensor]]:
    before = [tensor.clone() for tensor in (g, p, *state.values())]
    answer = optimizer.update(g, p, state, t, lr)
    if not all(torch.equal(a, b) for a, b in zip(before, (g, p, *state.values()), strict=True)):
        ledger.write("inputs kept", "fail", note="`update` changed its arguments in place", point=f"step {t}")
    return answer


def prove_schedule(schedule: Schedule, ledger: Ledger, generator: torch.Generator) -> None:
    """Finite and never negative throughout a run; the same answer asked twice; a memory that JSON keeps."""
    for number, total in enumerate(RUNS):
        point = f"a run of {total}"
        with ledger.attempt("finite", sample=number, point=point):
            memory = schedule.start()
            rates, twice, kept = [], [], True
            for t in range(total):
                before = json.dumps(memory)
                rates.append(schedule.at(t, total, 0.1, memory))
                kept = kept and json.dumps(memory) == before
                twice.append(schedule.at(t, total, 0.1, json.loads(before)))
                if schedule.watches:
                    memory = schedule.observe(float(torch.rand((), generator=generator)), memory)
            bad = next((t for t, rate in enumerate(rates) if not math.isfinite(rate)), None)
            ledger.state(
                "finite",
                bad is None,
                f"the rate at t = {bad} is {rates[bad or 0]}",
                sample=number,
                point=point,
            )
            low = next((t for t, rate in enumerate(rates) if rate < 0), None)
            ledger.state(
                "not negative",
                low is None,
                f"the rate at t = {low} is {rates[low or 0]}",
                sample=number,
                point=point,
            )
            ledger.state("memory kept", kept, "`at` changed the memory: only `observe` may", sample=number, point=point)
            ledger.state(
                "same twice",
                rates == twice,
                "asked again with the stored memory, it answers differently",
                sample=number,
                point=point,
            )


def prove_initializer(initializer: Initializer, ledger: Ledger, seed: int) -> None:
    """Moments and bounds of a large filled tensor against the published distribution."""
    for number, shape in enumerate(FILLED):
        try:
            spread = initializer.textbook(shape)
        except (Misfit, Problem):
            continue
        where = {"sample": number, "point": f"weight {list(shape)} float64, seed {seed}"}
        with ledger.attempt("moments", **where):
            before = torch.full(shape, 7.0, dtype=torch.float64)
            tensor = _filled(initializer, before, seed)
            ledger.state(
                "same seed",
                torch.equal(tensor, _filled(initializer, before, seed)),
                "the same seed fills differently",
                **where,
            )
            ledger.state("finite", bool(tensor.isfinite().all()), "not every element is finite", **where)
            if spread is None:
                ledger.state(
                    "left alone",
                    torch.equal(tensor, before),
                    "the textbook leaves the tensor as it is; `fill` changes it",
                    **where,
                )
                continue
            n = tensor.numel()
            # Six standard errors: σ/√n for the mean, less for the deviation where tails are light. Where the
            # deviation is zero, rounding alone is allowed.
            slack = 6 * spread.std / math.sqrt(n) + 1e-12 * (abs(spread.mean) + spread.std)
            _near("mean", float(tensor.mean()), spread.mean, slack, ledger, where)
            _near("standard deviation", float(tensor.std(unbiased=False)), spread.std, slack, ledger, where)
            low, high = float(tensor.min()), float(tensor.max())
            ledger.state(
                "bounds",
                spread.low <= low and high <= spread.high,
                f"{low:.6g} … {high:.6g} leaves {spread.low:.6g} … {spread.high:.6g}",
                **where,
            )


def _filled(initializer: Initializer, before: Tensor, seed: int) -> Tensor:
    tensor = before.clone()
    torch.manual_seed(seed)
    with torch.no_grad():
        initializer.fill(tensor)
    return tensor


def _near(check: str, got: float, expected: float, slack: float, ledger: Ledger, where: Mapping[str, Any]) -> None:
    holds = abs(got - expected) <= slack
    note = "" if holds else f"{check} {got:.6g}, by the textbook {expected:.6g} ± {slack:.2g}"
    ledger.write(check, "pass" if holds else "fail", got=got, expected=expected, note=note, **where)
