"""A caller's own words about a function: what it should compute, its derivative, and what backward stands for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradtrain.gradcheck.callee import Callee, at_precision
from gradtrain.gradcheck.captured import captured
from gradtrain.gradcheck.finding import DIGITS, Finding, Ledger, Verdict, largest
from gradtrain.gradcheck.probe import Probe, Unfit, Values, flattened, floating
from gradtrain.gradcheck.reverse import ROUNDING, Pull

Face = Callable[..., Any]

GROSS = 0.1
"""At huge numbers a textbook's own rounding is large: only more than this, relative to the largest, counts."""


@dataclass(frozen=True)
class Faces:
    """What a caller says about a function; each may be None."""

    textbook: Face | None = None
    gradient: Face | None = None
    surrogate: Face | None = None


def called(face: Face, callee: Callee, point: Values, *front: Any) -> Any:
    """A face at a point: the function's arguments, and its parameters by name where the face takes them."""
    arguments = callee.rebuilt(point)
    try:
        known = inspect.signature(face).parameters
    except (TypeError, ValueError):
        return face(*front, *arguments)
    anything = any(p.kind is p.VAR_KEYWORD for p in known.values())
    positional = [p.name for p in known.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    taken = set(positional[: len(front) + len(arguments)])
    named = {name: point[name] for name in callee.parameters if (anything or name in known) and name not in taken}
    named |= {name: value for name, value in callee.keywords.items() if anything or name in known}
    if front and len(positional) == len(arguments) and not anything and not _variadic(known):
        return _applied(face(*arguments, **named), front[0])
    return face(*front, *arguments, **named)


def takes(face: Face, keywords: Mapping[str, Any]) -> bool:
    """Whether a face can be asked at a point with these keywords."""
    if not keywords:
        return True
    try:
        known = inspect.signature(face).parameters
    except (TypeError, ValueError):
        return False
    return any(p.kind is p.VAR_KEYWORD for p in known.values()) or keywords.keys() <= known.keys()


def _variadic(known: Mapping[str, inspect.Parameter]) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in known.values())


def _applied(slope: Any, g: Any) -> Any:
    """A closed form that takes no incoming gradient is the elementwise derivative itself."""
    if isinstance(slope, Mapping):
        return {name: _applied(value, g) for name, value in slope.items()}
    if isinstance(slope, (tuple, list)):
        return tuple(_applied(value, g) for value in slope)
    return slope * g


def prove_textbook(
    face: Face, callee: Callee, probe: Probe, ledger: Ledger, extreme: bool = False, **where: Any
) -> None:
    """The function's numbers against the published ones. A point where the textbook has none is skipped."""
    point = {**callee.tensors, **{name: leaf.detach() for name, leaf in probe.leaves.items()}}
    try:
        with _lending(face):
            expected = _floating_at(face, callee, probe, point)
            got = probe.at(probe.moved({}, 0.0))
            noise = 0.0 if extreme else _noise(face, callee, probe, point, got, expected)
    except Exception as error:
        if where.get("sample"):
            return
        ledger.write("forward", "fail", note=f"the textbook raises {type(error).__name__}: {error}", **where)
        return
    if len(got) != len(expected):
        note = f"the function returns {len(got)} tensors, its textbook {len(expected)}"
        ledger.write("forward", "fail", note=note, **where)
        return
    for (name, mine), published in zip(got.items(), expected.values(), strict=True):
        check = "forward" if len(got) == 1 else f"forward of {name}"
        if not bool(published.isfinite().all()):
            if not where.get("sample"):
                ledger.write(check, "nonfinite", note="the textbook gives no finite number here", **where)
            continue
        if extreme:
            _grossly(check, mine, published, ledger, **where)
            continue
        _closely(check, mine, published, largest(*point.values()), noise, ledger, **where)


def _closely(
    check: str, got: Tensor, expected: Tensor, scale: float, noise: float, ledger: Ledger, **where: Any
) -> None:
    if got.shape != expected.shape:
        note = f"shape {list(got.shape)}, by the textbook {list(expected.shape)}"
        ledger.write(check, "fail", note=note, **where)
        return
    scale = max(min(scale, 1e3 * largest(expected)), 100 * 1e10 * 16 * noise)
    ledger.compare(check, got, expected, scale, **where)
    ledger.findings[-1] = softened(ledger.findings[-1])


def softened(finding: Finding) -> Finding:
    """A disagreement no larger than a rounding to float32: right algebra, low precision inside."""
    from dataclasses import replace

    if finding.verdict == "fail" and finding.relative is not None and finding.relative < ROUNDING:
        note = f"the algebra is right to {finding.digits:.1f} digits: a constant or a cast inside is float32"
        return replace(finding, verdict="precision", note=note)
    return finding


def _grossly(check: str, got: Tensor, expected: Tensor, ledger: Ledger, **where: Any) -> None:
    if got.shape != expected.shape:
        return
    finite = bool(got.isfinite().all())
    apart = float((got - expected).abs().max()) if finite and got.numel() else 0.0
    bad = not finite or apart > GROSS * largest(expected)
    verdict: Verdict = "pass" if not bad else "fail" if finite else "nonfinite"
    note = (
        ""
        if not bad
        else f"off by {apart:.3g} where the textbook gives up to {largest(expected):.3g}"
        if finite
        else "it overflows where the textbook is finite"
    )
    ledger.write(check, verdict, note=note, **where)


def _floating_at(face: Face, callee: Callee, probe: Probe, point: Values) -> dict[str, Tensor]:
    probe.kept.rewind()
    with torch.enable_grad():
        return {name: out.detach() for name, out in floating(called(face, callee, point)).items()}


def _noise(face: Face, callee: Callee, probe: Probe, point: Values, got: Values, expected: Values) -> float:
    """How far rounding the inputs moves either side: the largest change under a few ulps."""
    generator = torch.Generator().manual_seed(3)
    worst = 0.0
    for _ in range(2):
        shaken = {
            name: x
            * (1 + 2 * probe.epsilon * torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype))
            if name in probe.leaves
            else x
            for name, x in point.items()
        }
        moved = probe.at({name: shaken[name] for name in probe.leaves})
        other = _floating_at(face, callee, probe, shaken)
        for before, after in ((got, moved), (expected, other)):
            for one, two in zip(before.values(), after.values(), strict=True):
                if one.shape == two.shape and one.numel():
                    worst = max(worst, float((one - two).abs().nan_to_num(0.0, 0.0, 0.0).max()))
    return worst


class _lending:
    """Modules and tensors that a face closes over in float64 meanwhile."""

    def __init__(self, face: Face) -> None:
        from gradtrain.gradcheck.callee import borrowed

        self.context = at_precision(borrowed(face, captured(face)), torch.float64)

    def __enter__(self) -> None:
        self.context.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.context.__exit__(*error)


def prove_gradient(face: Face, callee: Callee, probe: Probe, pull: Pull, ledger: Ledger, **where: Any) -> None:
    """Autograd against the closed form, by every leaf that the closed form speaks of."""
    point = {**callee.tensors, **{name: leaf.detach() for name, leaf in probe.leaves.items()}}
    g = list(pull.weights.values())
    try:
        with _lending(face), torch.no_grad():
            probe.kept.rewind()
            paired = dict(flattened(probe.call(probe.moved({}, 0.0)), "output"))
            g = [torch.view_as_complex(w) if paired[name].is_complex() else w for name, w in pull.weights.items()]
            probe.kept.rewind()
            closed = _by_name(called(face, callee, point, g[0] if len(g) == 1 else tuple(g)), callee)
    except Exception as error:
        if not where.get("sample"):
            ledger.write("gradient", "fail", note=f"the closed form raises {type(error).__name__}: {error}", **where)
        return
    if not closed:
        ledger.write("closed form", "fail", note="the closed form gives nothing to compare", **where)
    for name, expected in closed.items():
        known = pull.gradient.get(name)
        if known is None:
            note = f"the closed form names `{name}`, which is no tensor that is differentiated by"
            ledger.write("closed form", "fail", note=note, **where)
        elif not isinstance(expected, (Tensor, int, float)):
            note = f"the closed form gives {type(expected).__name__} where a tensor belongs"
            ledger.write(f"closed form of {name}", "fail", note=note, **where)
        elif bool((published := _real(torch.as_tensor(expected))).isfinite().all()) or not where.get("sample"):
            scale = min(largest(*point.values(), *g), 1e3 * max(largest(published), 1e-300))
            digits = min(DIGITS, -math.log10(probe.slack(1e-10)))
            ledger.compare(f"closed form of {name}", known, published, scale, digits, probe.leaves[name], **where)
            ledger.findings[-1] = softened(ledger.findings[-1])


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _by_name(answer: Any, callee: Callee) -> dict[str, Tensor]:
    if isinstance(answer, Mapping):
        return {str(name): value for name, value in answer.items() if value is not None}
    several = answer if isinstance(answer, (tuple, list)) else (answer,)
    names = callee.moved if len(several) <= len(callee.moved) else (*callee.moved, *callee.parameters)
    return {name: value for name, value in zip(names, several, strict=False) if value is not None}


def prove_surrogate(face: Face, callee: Callee, probe: Probe, pull: Pull, ledger: Ledger, **where: Any) -> None:
    """Autograd through the function against autograd through what its backward declares to stand for."""
    point = dict(callee.tensors) | dict(probe.leaves)
    try:
        with _lending(face):
            probe.kept.rewind()
            outputs = floating(called(face, callee, point))
            pairs = [(o, w) for o, w in zip(outputs.values(), pull.weights.values(), strict=True) if o.requires_grad]
            names = list(probe.leaves)
            found: tuple[Tensor | None, ...] = (None,) * len(names)
            if pairs:
                found = torch.autograd.grad(
                    [o for o, _ in pairs],
                    [probe.leaves[name] for name in names],
                    [w.reshape(o.shape) for o, w in pairs],
                    allow_unused=True,
                )
    except (Unfit, Exception) as error:
        ledger.write("surrogate", "fail", note=f"the surrogate raises {type(error).__name__}: {error}", **where)
        return
    for name, expected in zip(names, found, strict=True):
        declared = torch.zeros_like(probe.leaves[name]) if expected is None else expected.detach()
        got = pull.gradient[name]
        if got.shape == declared.shape and math.isfinite(largest(got)):
            digits = min(DIGITS, -math.log10(probe.slack(1e-10)))
            ledger.compare(f"gradient of {name}", got, declared, largest(declared), digits, probe.leaves[name], **where)
            finding = ledger.findings[-1]
            if finding.verdict == "pass":
                from dataclasses import replace

                ledger.findings[-1] = replace(finding, verdict="intended", note="as its declared surrogate")
