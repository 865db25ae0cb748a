"""Failures as GitHub shows them: beside the line of the component or config that is wrong."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from gradtrain import registry
from gradtrain.gradcheck.finding import Finding
from gradtrain.gradcheck.report import Report

MOST = 10
"""GitHub shows no more of one step."""


def lines(report: Report, files: dict[str, Path]) -> Iterator[str]:
    """One line for each component that failed, its first failure first. `files`: component → its config or plugin."""
    failed = groupby(report.failures, key=lambda finding: (finding.family, finding.component))
    for number, ((family, component), group) in enumerate(failed):
        if number == MOST:
            return
        finding = next(group)
        path, line = _place(family, component, files)
        where = ",".join(
            f"{key}={_escaped(str(value), parameter=True)}"
            for key, value in (("file", path), ("line", line), ("title", f"{finding.verdict}: {family}.{component}"))
            if value
        )
        yield f"::error {where}::{_escaped(_said(finding))}"


def _said(finding: Finding) -> str:
    element = f" at {list(finding.element)}" if finding.element else ""
    numbers = "" if finding.got is None else f": {finding.got!r}, expected {finding.expected!r}"
    return f"{finding.check}{element}{numbers}" + (f". {finding.note}" if finding.note else "")


def _place(family: str, component: str, files: dict[str, Path]) -> tuple[str, int]:
    if component in files:
        return str(files[component]), 1
    try:
        cls = registry.find(registry.families()[family], component)
        path, line = inspect.getsourcefile(cls), inspect.getsourcelines(cls)[1]
    except (KeyError, OSError, TypeError):
        return "", 0
    return (os.path.relpath(path), line) if path else ("", 0)


def _escaped(text: str, parameter: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if parameter else text
