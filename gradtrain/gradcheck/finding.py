"""What a check found: one frozen record a check, and the comparison of two tensors behind it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from gradtrain.lazy import Tensor, torch

Verdict = Literal[
    "fail",
    "nonfinite",
    "nondeterministic",
    "detached",
    "detached-output",
    "precision",
    "unresolved",
    "inert",
    "intended",
    "kink",
    "pass",
]
"""The gravest first.

fail              autograd, the differences or the published formula disagree
nonfinite         a number or a gradient is not finite where the function has one
nondeterministic  the same call from the same state gives other numbers
detached          the result depends on the tensor, and backward gives nothing for it
detached-output   an output depends on the inputs, and backward knows nothing of it
precision         the algebra is right; a cast or a constant inside has few digits
unresolved        the bound of the differences is too wide to tell
inert             the derivative is truly zero here
intended          wrong as a derivative, and exactly what was declared
kink              the point lies on a corner; autograd gives a slope between the one-sided ones
pass              proven
"""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

ACCEPTED: frozenset[Verdict] = frozenset({"pass", "kink", "intended", "inert"})

DIGITS = 10
"""Digits on which two faces of a function must agree in float64."""

EXACT = 16.0
"""Digits reported where nothing differs: all that float64 has."""


@dataclass(frozen=True)
class Agreement:
    """How well two tensors of one shape agree, and where they agree least."""

    digits: float
    element: tuple[int, ...]
    got: float
    expected: float
    disagree: int
    elements: int
    finite: bool


def agreement(got: Tensor, expected: Tensor, scale: float = 0.0, digits: float = DIGITS) -> Agreement:
    """Compare element by element; `scale` is the largest magnitude among the numbers that went in."""
    if expected.numel() == 0:
        return Agreement(EXACT, (), math.nan, math.nan, 0, 0, True)
    a, b = got.detach().double(), expected.detach().double()
    largest = max(scale, *(float(t.abs().nan_to_num(0.0, 0.0, 0.0).max()) for t in (a, b)))
    # Relative to the element alone, a difference of large numbers (a tail, a centred mean) would fail for
    # its rounding; relative to the largest alone, a wrong small element would hide behind a large one. So:
    # relative to the element plus one per cent of the largest. Ten digits then allow 1e-12 of the largest,
    # which is 4500 roundings of float64.
    error = torch.where(a == b, 0.0, (a - b).abs() / (b.abs() + largest / 100))
    error = error.nan_to_num(math.inf, math.inf)
    worst = int(error.argmax())
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), expected.shape))
    top = float(error.flatten()[worst])
    agreed = EXACT if top == 0 else min(EXACT, max(0.0, -math.log10(top))) if math.isfinite(top) else 0.0
    return Agreement(
        agreed, place, float(a.flatten()[worst]), float(b.flatten()[worst]), int((error > 10**-digits).sum()),
        error.numel(), bool(a.isfinite().all() and b.isfinite().all()),
    )  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One check of one component with one set of hyper-parameters at one point."""

    family: str
    component: str
    case: Mapping[str, Any]
    """Hyper-parameters that differ from the defaults."""
    check: str
    """What was compared: "forward", "gradient of weight", "shape", "round trip", …"""
    verdict: Verdict
    digits: float | None = None
    """Decimal digits that agree at the worst element; None where nothing is compared."""
    element: tuple[int, ...] | None = None
    """Index of the worst element."""
    got: float | None = None
    """What the implementation (for a gradient: autograd) gives there."""
    expected: float | None = None
    """What the textbook (for a gradient: the closed form) gives there."""
    disagree: int = 0
    """How many elements disagree, of `elements`."""
    elements: int = 0
    sample: int = 0
    """Number of the input within the case, from 0."""
    point: str = ""
    """The input in words."""
    note: str = ""
    """Why it failed, where that is no number."""
    at: float | None = None
    """The tensor that a gradient is taken by, at the worst element."""
    bound: float | None = None
    """How far off `expected` can be where it comes from differences."""
    in_graph: bool = True
    """False where no path leads back to a tensor: it never learns, though its derivative is zero."""
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether it speaks for the component: `inert` only for a tensor that is in the graph."""
        return self.verdict in ACCEPTED and self.in_graph

    @property
    def relative(self) -> float | None:
        """|got - expected| / |expected| at the worst element."""
        if self.got is None or self.expected is None:
            return None
        return abs(self.got - self.expected) / abs(self.expected) if self.expected else math.inf


class Ledger:
    """The findings about one component with one case; each one's time counts from the one before."""

    def __init__(self, family: str, component: str, case: Mapping[str, Any]) -> None:
        self.who = (family, component, case)
        self.findings: list[Finding] = []
        self.since = time.perf_counter()

    def write(self, check: str, verdict: Verdict, **evidence: Any) -> None:
        now = time.perf_counter()
        self.findings.append(Finding(*self.who, check, verdict, **evidence, seconds=now - self.since))
        self.since = now

    def state(self, check: str, holds: bool, note: str = "", **evidence: Any) -> None:
        """A check that has no numbers: `note` says what is wrong when it does not hold."""
        self.write(check, "pass" if holds else "fail", note="" if holds else note, **evidence)

    def compare(
        self,
        check: str,
        got: Tensor,
        expected: Tensor,
        scale: float = 0.0,
        digits: float = DIGITS,
        by: Tensor | None = None,
        **evidence: Any,
    ) -> None:
        """Whether two tensors agree; `by` is what a gradient was taken by."""
        if got.shape != expected.shape:
            self.write(
                check,
                "fail",
                note=f"shape {list(got.shape)} against {list(expected.shape)} by the closed form",
                **evidence,
            )
            return
        found = agreement(got, expected, scale, digits)
        verdict: Verdict = "nonfinite" if not found.finite else "pass" if found.disagree == 0 else "fail"
        numbers = {
            name: getattr(found, name) for name in ("digits", "element", "got", "expected", "disagree", "elements")
        }
        at = float(by.detach()[found.element]) if by is not None and by.numel() else None
        self.write(check, verdict, **numbers, at=at, **evidence)

    @contextmanager
    def attempt(self, check: str, **evidence: Any) -> Iterator[None]:
        """Code of a component: an exception in it is a failed check, not the end of the checks."""
        try:
            yield
        except Exception as error:
            self.write(check, "fail", note=f"{type(error).__name__}: {error}", **evidence)


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal in every element, a NaN to itself."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def largest(*tensors: Tensor) -> float:
    """The largest finite magnitude in floating-point tensors."""
    values = [
        float(t.detach().abs().nan_to_num(0.0, 0.0, 0.0).max()) for t in tensors if t.numel() and t.is_floating_point()
    ]
    return max(values, default=0.0)
