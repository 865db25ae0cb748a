"""The findings as a table, as evidence, and as JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradtrain.gradcheck.finding import Finding, Verdict
from gradtrain.lazy import torch
from gradtrain.problems import safe

FORMAT = 1
"""Version of the JSON: it grows when a key changes its meaning or goes."""

STYLES: dict[Verdict, str] = {"pass": "green", "fail": "bold red", "nonfinite": "bold magenta"}


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
        verdicts = {finding.verdict for finding in findings}
        return cls(
            findings[0].family, findings[0].component,
            len({repr(finding.case) for finding in findings if finding.check not in ("docstring", "cases")}),
            len(findings),
            min((finding.digits for finding in findings if finding.digits is not None), default=None),
            "fail" if "fail" in verdicts else "nonfinite" if "nonfinite" in verdicts else "pass",
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
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.ok]

    @property
    def rows(self) -> list[Row]:
        """One row a component."""
        return [Row.of(list(group)) for _, group in groupby(self.findings, key=lambda f: (f.family, f.component))]


def show(report: Report, console: Console, rows: bool = True) -> None:
    """The table, the evidence of every component and case that failed, and the sum in one line."""
    if rows and report.rows:
        console.print(table(report.rows))
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


def summary(report: Report) -> str:
    """One line: how many components and checks, and how they came out."""
    rows = report.rows
    wrong = [row for row in rows if row.verdict != "pass"]
    digits = min((row.digits for row in rows if row.digits is not None), default=None)
    many = f"{len(rows)} component{'s' * (len(rows) != 1)}, {len(report.findings):,} checks"
    many += f" in {report.seconds:.1f} s (seed {report.seed})"
    if wrong:
        return f"{many}: {len(wrong)} failed: {', '.join(safe(f'{row.family}.{row.name}') for row in wrong)}"
    return f"{many}: all passed" + ("" if digits is None else f", every comparison to at least {digits:.1f} digits")


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
    gradient = finding.check.startswith("gradient")
    sides = ("by autograd", "by the closed form") if gradient else ("by the implementation", "by the textbook")
    lines = [f"{finding.verdict}[{finding.check}]: {finding.family}.{finding.component}"]
    parts = [
        ("case", _case(finding.case)),
        ("input", f"{finding.point} (sample {finding.sample})" if finding.point else ""),
    ]
    if finding.element is not None:
        leaf = finding.check.removeprefix("gradient of ").split()[0]
        where = "" if finding.at is None else f", where {leaf} is {finding.at!r}"
        parts.append(("element", f"{list(finding.element)}{where}"))
    if finding.got is not None and finding.expected is not None:
        parts += [
            ("got", f"{finding.got!r:<24} {sides[0]}"),
            ("expected", f"{finding.expected!r:<24} {sides[1]}"),
        ]
        agreed = "" if finding.digits is None else f", {finding.digits:.1f} digits agree"
        parts.append(("relative", f"{finding.relative:.2e}{agreed}"))
    if finding.elements:
        parts.append(("elements", f"{finding.disagree:,} of {finding.elements:,} disagree"))
    parts.append(("note", finding.note))
    return "\n".join(lines + [f"  {label:<9} {safe(text)}" for label, text in parts if text])


def _case(case: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in case.items()) or "defaults"


def as_json(report: Report) -> dict[str, Any]:
    """The report for machines.

    `format` 1, `torch` its version, `seed`, `ok`, `seconds`;
    `components`: one object a component with `family`, `name`, `cases`, `checks`, `digits` (number or null),
    `verdict`, `seconds`;
    `findings`: one object a check with `family`, `component`, `case` (hyper-parameters, as text where JSON
    has no word for them), `check`, `verdict` ("pass", "fail", "nonfinite"), `digits`, `element` (indices or
    null), `got`, `expected`, `relative` (numbers, or "nan", "inf", "-inf", or null), `disagree`,
    `elements`, `sample`, `point`, `note`, `at` (number or null), `seconds`.
    """
    return {
        "format": FORMAT,
        "torch": torch.__version__,
        "seed": report.seed,
        "ok": report.ok,
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
