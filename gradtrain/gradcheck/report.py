"""The findings as a table, as evidence, and as JSON."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradtrain.gradcheck.finding import VERDICTS, Finding, Verdict
from gradtrain.lazy import torch
from gradtrain.problems import safe

FORMAT = 2
"""Version of the JSON: it grows when a key changes its meaning or goes."""

STYLES: dict[Verdict, str] = {
    **dict.fromkeys(VERDICTS, "bold red"),
    **dict.fromkeys(("nonfinite", "precision", "unresolved"), "bold magenta"),
    **dict.fromkeys(("kink", "intended", "inert"), "cyan"),
    "pass": "green",
}


COUNTED = frozenset(VERDICTS) - {"kink", "intended", "inert"}
"""Verdicts whose digits say how right a component is."""


@dataclass(frozen=True)
class Row:
    """What is known of one component after all its checks."""

    family: str
    name: str
    cases: int
    checks: int
    digits: float | None
    """The fewest digits that any comparison agreed on; None when nothing was compared."""
    verdict: Verdict
    seconds: float

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Row:
        """The row of one component's findings."""
        against = {finding.verdict for finding in findings if not finding.ok}
        return cls(
            findings[0].family, findings[0].component,
            len({repr(finding.case) for finding in findings if finding.check not in ("docstring", "cases")}),
            len(findings),
            min((f.digits for f in findings if f.digits is not None and f.verdict in COUNTED), default=None),
            next((verdict for verdict in VERDICTS if verdict in against), "pass"),
            sum(finding.seconds for finding in findings),
        )  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Everything that was found, in the order of the registry."""

    findings: tuple[Finding, ...]
    seed: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every check of every component passed."""
        return all(finding.ok for finding in self.findings)

    @property
    def verdict(self) -> Verdict:
        """The gravest of what speaks against it; else what is said of the point that was given: `kink` where it
        lies on a corner, `intended`, `inert` where nothing has a derivative but zero, `pass`."""
        if against := {finding.verdict for finding in self.failures}:
            return next(verdict for verdict in VERDICTS if verdict in against)
        said = {f.verdict for f in self.findings if f.sample == 0 and f.check.startswith("gradient of ")}
        for verdict in ("intended", "kink"):
            if verdict in said:
                return verdict
        return "inert" if said == {"inert"} else "pass"

    def passed(self, strict: bool = True) -> bool:
        """Whether nothing speaks against it; unless `strict`, what is only unresolved does not."""
        return all(finding.verdict == "unresolved" for finding in self.failures) if not strict else self.ok

    def __str__(self) -> str:
        """The tables, the evidence and the sum, as the command prints them."""
        stream = io.StringIO()
        show(self, Console(file=stream, width=100, color_system=None))
        return stream.getvalue().rstrip()

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.ok]

    @property
    def rows(self) -> list[Row]:
        """One row a component."""
        return [Row.of(list(group)) for _, group in groupby(self.findings, key=lambda f: (f.family, f.component))]


def show(report: Report, console: Console, rows: bool = True) -> None:
    """The table, the evidence of every component and case that failed, and the sum in one line."""
    rows_ = [row for row in report.rows if row.family not in WHOLE] if rows else []
    if rows_:
        console.print(table(rows_))
    whole = [finding for finding in report.findings if finding.family in WHOLE]
    if rows and whole:
        console.print(tensors(whole))
    for block in blocks(report.failures):
        console.print(Text(block, style=""), soft_wrap=True)
        console.print()
    console.print(Text(summary(report), style="bold" if report.ok else STYLES["fail"]), soft_wrap=True)


def table(rows: Iterable[Row]) -> Table:
    """Seven columns that fit 80 characters; names fold rather than vanish."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("family", no_wrap=True)
    grid.add_column("component", overflow="fold")
    for title in ("cases", "checks", "digits"):
        grid.add_column(title, justify="right", no_wrap=True)
    grid.add_column("verdict", no_wrap=True)
    grid.add_column("ms", justify="right", no_wrap=True)
    for row in rows:
        digits = "" if row.digits is None else f"{row.digits:.1f}"
        verdict = Text(row.verdict, style=STYLES[row.verdict])
        grid.add_row(
            row.family,
            Text(safe(row.name)),
            f"{row.cases}",
            f"{row.checks:,}",
            digits,
            verdict,
            f"{1000 * row.seconds:.0f}",
        )
    return grid


WHOLE = ("functions", "modules", "configs")
"""What is no component of a family: one row a tensor says more than one row for all."""


KINDS = {"functions": "function", "modules": "module", "configs": "update"}


def tensors(findings: Sequence[Finding]) -> Table:
    """One row for every tensor and every kind of check at the point given, one for each drawn point that failed."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("check", overflow="fold")
    for title in ("shape", "digits", "verdict", "ms"):
        grid.add_column(title, justify="left" if title in ("shape", "verdict") else "right", no_wrap=True)
    of = ""
    for finding in findings:
        if finding.sample and finding.ok:
            continue
        if finding.component != of and len({f.component for f in findings}) > 1:
            of = finding.component
            grid.add_row(Text(safe(of), style="bold"))
        shape = finding.point.removesuffix(" float64") if finding.point.startswith("[") else ""
        grid.add_row(
            Text(safe(finding.check + (f" ({finding.point.removeprefix('drawn: ')})" if finding.sample else ""))),
            shape,
            "" if finding.digits is None or finding.verdict == "inert" else f"{finding.digits:.1f}",
            Text(finding.verdict, style=STYLES[finding.verdict if finding.ok else "fail"]),
            f"{1000 * finding.seconds:.0f}",
        )
    return grid


def summary(report: Report) -> str:
    """One line: how many components and checks, and how they came out."""
    kinds = {finding.family for finding in report.findings}
    kind = KINDS.get(next(iter(kinds)), "component") if len(kinds) == 1 else "component"
    count = len(report.rows)
    many = f"{count} {kind}{'s' * (count != 1)}, {len(report.findings):,} checks"
    many += f" in {report.seconds:.1f} s (seed {report.seed})"
    wrong, open_ = (
        list(dict.fromkeys(f"{f.family}.{f.component}" for f in report.failures if (f.verdict == "unresolved") is only))
        for only in (False, True)
    )
    if wrong or open_:
        both = {"failed": wrong, "unresolved": [name for name in open_ if name not in wrong]}
        told = [f"{len(names)} {how}: {safe(', '.join(names))}" for how, names in both.items() if names]
        return f"{many}: {'; '.join(told)}"
    return f"{many}: all passed{_least(report.findings)}"


def _least(findings: Iterable[Finding]) -> str:
    """The fewest digits of any comparison: differences have a bound of their own, all others are exact."""
    counted = [(f.digits, f.bound is None) for f in findings if f.digits is not None and f.verdict in COUNTED]
    exactly = min((digits for digits, exact in counted if exact), default=None)
    roughly = min((digits for digits, exact in counted if not exact), default=None)
    told = [] if exactly is None else [f"to {exactly:.1f} digits"]
    told += [] if roughly is None else [f"by differences to {roughly:.1f}"]
    return f" {', '.join(told)}" if told else ""


def blocks(failures: Sequence[Finding]) -> Iterable[str]:
    """The evidence of every component and case that failed: its first failure in full, the others counted."""
    for _, group in groupby(failures, key=lambda f: (f.family, f.component, repr(f.case))):
        first, *others = group
        more = [
            f"{check} ×{count}" if count > 1 else check for check, count in Counter(f.check for f in others).items()
        ]
        yield evidence(first) + (f"\n  also      {', '.join(more)}" if more else "")


def evidence(finding: Finding) -> str:
    """All that is known of one failure, in aligned plain text."""
    sides = _sides(finding)
    lines = [f"{finding.verdict}[{finding.check}]: {finding.family}.{finding.component}"]
    parts = [
        ("case", "" if finding.family in WHOLE else _case(finding.case)),
        ("input", _input(finding)),
    ]
    if finding.element is not None:
        leaf = re.sub(r"^(gradient|closed form) of | through .*", "", finding.check)
        where = "" if finding.at is None else f", where {leaf} is {finding.at!r}"
        parts.append(("element", f"{list(finding.element)}{where}"))
    if finding.got is not None and finding.expected is not None:
        parts += [
            ("got", f"{finding.got!r:<24} {sides[0]}"),
            ("expected", f"{finding.expected!r:<24} {sides[1]}{_bound(finding)}"),
        ]
        agreed = "" if finding.digits is None else f", {finding.digits:.1f} digits agree"
        parts.append(("relative", f"{finding.relative:.2e}{agreed}"))
    if finding.elements:
        measured = " measured" if finding.bound is not None else ""
        how = "disagree" if finding.expected is not None else "are not finite"
        parts.append(("elements", f"{finding.disagree:,} of {finding.elements:,}{measured} {how}"))
    parts.append(("note", finding.note))
    return "\n".join(lines + [f"  {label:<9} {safe(text)}" for label, text in parts if text])


def _input(finding: Finding) -> str:
    if finding.family in WHOLE:
        return finding.point
    return f"{finding.point} (sample {finding.sample})" if finding.point else ""


def _sides(finding: Finding) -> tuple[str, str]:
    """Who says what is got, and who what is expected."""
    kind = finding.check.partition(" of ")[0]
    if finding.check.startswith("forward mode"):
        return "by forward mode", "by backward"
    if finding.check in ("forward over reverse", "Hessian symmetry"):
        return ("<u, H v>", "<v, H u>") if finding.check == "Hessian symmetry" else ("forward mode", "backward twice")
    if (kind in ("differences", "gradient") and finding.bound is not None) or kind.startswith("order "):
        return "by autograd", "by differences"
    if kind == "gradient" and finding.family in WHOLE:
        declared = finding.disagree and not finding.note
        return "by autograd", "by the declared surrogate" if declared else "by differences"
    if kind in ("gradient", "closed form"):
        return "by autograd", "by the closed form"
    return ("by the optimizer" if kind == "update" else "by the implementation"), "by the textbook"


def _bound(finding: Finding) -> str:
    return f", ± {finding.bound:.1e}" if finding.bound and finding.element is None else ""


def _case(case: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in case.items()) or "defaults"


def as_json(report: Report) -> dict[str, Any]:
    """The report for machines.

    `format` 2, `torch` its version, `seed`, `ok`, `verdict` (the gravest one), `seconds`;
    `components`: one object a component with `family`, `name`, `cases`, `checks`, `digits` (number or null),
    `verdict`, `seconds`;
    `findings`: one object a check with `family`, `component`, `case` (hyper-parameters, as text where JSON
    has no word for them), `check`, `verdict` (one of the eleven), `digits`, `element` (indices or null), `got`,
    `expected`, `relative` (numbers, or "nan", "inf", "-inf", or null), `disagree`, `elements`, `sample`,
    `point`, `note`, `at` (number or null), `bound` (of `expected`, where it comes from differences, or null),
    `in_graph` (false where no path leads back to a tensor), `seconds`.
    """
    return {
        "format": FORMAT,
        "torch": torch.__version__,
        "seed": report.seed,
        "ok": report.ok,
        "verdict": report.verdict,
        "seconds": round(report.seconds, 6),
        "components": [_plain(asdict(row)) for row in report.rows],
        "findings": [_plain({**_fields(finding), "relative": finding.relative}) for finding in report.findings],
    }


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in Finding.__dataclass_fields__}


def _plain(value: Any) -> Any:
    """What JSON can hold: non-finite numbers and foreign objects as text."""
    match value:
        case bool() | int() | str() | None:
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
    return str(value)
