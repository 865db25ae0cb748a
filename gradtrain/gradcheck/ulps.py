"""Gradients in low precision against float64 ones at the same rounded point, in units of the last place."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from gradtrain.gradcheck.callee import Callee, at_precision, converted
from gradtrain.gradcheck.finding import Ledger
from gradtrain.gradcheck.probe import magnitude
from gradtrain.gradcheck.reverse import Weights, pulls

FAIL = 256.0
"""Units of the last place beyond which a float32 gradient is wrong, unless its function is as ill-conditioned."""


def prove_precision(callee: Callee, weights: Weights, ledger: Ledger, **where: object) -> None:
    """The relative error of the whole gradient in float32, bfloat16 and float16. Silent where one does not run."""
    if callee.reads.trainable:
        return
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        try:
            found = _error(callee, weights, dtype)
        except Exception:  # an operator that this precision does not have
            continue
        if found is None:
            continue
        error, condition = found
        name = str(dtype).removeprefix("torch.")
        said = f"{error:.3g} units of the last place ({name})"
        wrong = dtype == torch.float32 and not error <= max(FAIL, 16 * condition)
        note = f"the {name} gradient is {said} off; a change of the inputs by one moves it by {condition:.3g}"
        ledger.write(f"{name} gradient", "precision" if wrong else "pass", note=note if wrong else said, **where)


def _error(callee: Callee, weights: Weights, dtype: torch.dtype) -> tuple[float, float] | None:
    """(relative error, effect of rounding the inputs), both in units of the last place."""
    from gradtrain.gradcheck.kinks import flips, traced

    eps = torch.finfo(dtype).eps
    low = _rounded(callee, dtype, dtype)
    high = _rounded(callee, dtype, torch.float64)
    with at_precision(low, dtype):
        probe = low.probe()
        got = _gradient(low, weights)
        sides = traced(lambda: probe.at(dict(probe.leaves)))
    exact = high.probe()
    expected = _gradient(high, weights)
    turned = flips(sides, traced(lambda: exact.at(dict(exact.leaves))))
    size = _norm(expected)
    limit = torch.finfo(dtype).max / 4
    least = torch.finfo(dtype).tiny / eps
    if turned is None or turned or not least < size < limit or _largest(expected) > limit:
        return None
    moved = _shaken(high, eps)
    natural = max(size, _natural(high, weights))
    condition = _norm(_minus(_gradient(moved, weights), expected)) / natural / eps
    error = _norm(_minus(got, expected)) / natural / eps
    return (math.inf if math.isnan(error) else error), condition


def _natural(callee: Callee, weights: Weights) -> float:
    """The size of the outputs over the spread of the inputs: what a gradient is before its terms cancel."""
    probe = callee.probe()
    outputs = probe.at(dict(probe.leaves))
    size = magnitude(w * outputs[name] for name, w in weights.items())
    spreads = [float(x.detach().double().std(unbiased=False)) for x in probe.leaves.values() if x.numel() > 1]
    size_alone = max((_largest({"": x.detach()}) for x in probe.leaves.values()), default=0.0) or math.inf
    smallest = min((spread for spread in spreads if spread > 0), default=size_alone)
    return size / smallest


def _rounded(callee: Callee, through: torch.dtype, dtype: torch.dtype) -> Callee:
    from dataclasses import replace

    def cast(x: Tensor) -> Tensor:
        return x.to(through).to(dtype) if x.is_floating_point() else x

    tensors = {name: cast(tensor) for name, tensor in callee.tensors.items()}
    if callee.owned is None:
        return replace(callee, tensors=tensors)
    module = converted(converted(copy.deepcopy(callee.owned), through), dtype)
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    return replace(callee, function=module, owned=module, tensors=tensors, parameters=parameters)


def _shaken(callee: Callee, eps: float) -> Callee:
    from dataclasses import replace

    generator = torch.Generator().manual_seed(1)
    return replace(
        callee,
        tensors={
            name: x * (1 + eps * torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype))
            if x.is_floating_point()
            else x
            for name, x in callee.tensors.items()
        },
    )


def _gradient(callee: Callee, weights: Weights) -> Mapping[str, Tensor]:
    (pull,) = pulls(callee.probe(), [("", weights)])
    return {name: g.double() for name, g in pull.gradient.items()}


def _norm(gradient: Mapping[str, Tensor]) -> float:
    return magnitude(gradient.values())


def _minus(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: a[name] - b[name] for name in a}


def _largest(gradient: Mapping[str, Tensor]) -> float:
    return max((float(g.abs().max()) for g in gradient.values() if g.numel()), default=0.0)
