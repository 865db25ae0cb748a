"""The report as JUnit XML: what continuous integration reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from gradtrain.gradcheck.finding import Finding
from gradtrain.gradcheck.report import Report, evidence
from gradtrain.problems import Problem

UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""


def write(report: Report, path: Path) -> None:
    """One test case for every check of every component. Raises `Problem` where the file cannot be written."""
    whole = ElementTree.Element("testsuites", name="gradtrain gradcheck", time=f"{report.seconds:.3f}")
    for (family, component), group in groupby(report.findings, key=lambda f: (f.family, f.component)):
        whole.append(_suite(f"{family}.{component}", list(group)))
    for key in ("tests", "failures", "skipped"):
        whole.set(key, str(sum(int(suite.get(key, "0")) for suite in whole)))
    ElementTree.indent(whole)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        ElementTree.ElementTree(whole).write(beside, encoding="utf-8", xml_declaration=True)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Problem("not-writable", f"{path} cannot be written", why=str(error), help="name another file") from None


def _suite(name: str, findings: list[Finding]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_clean(name), errors="0")
    cases = list(_cases(name, findings))
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("time", f"{sum(finding.seconds for finding in findings):.3f}")
    return suite


def _cases(name: str, findings: list[Finding]) -> Iterator[ElementTree.Element]:
    """A case for every kind of check: its worst finding in full, the number of the others in its name."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.check, []).append(finding)
    for check, several in kinds.items():
        case = ElementTree.Element(
            "testcase", classname=_clean(name), name=_clean(check), time=f"{sum(f.seconds for f in several):.3f}"
        )
        failed = [finding for finding in several if not finding.ok]
        if failed:
            told = ElementTree.SubElement(case, "failure", type=failed[0].verdict, message=_clean(_line(failed[0])))
            told.text = _clean("\n\n".join(evidence(finding) for finding in failed[:5]))
        elif all(finding.verdict in ("intended", "inert") for finding in several):
            ElementTree.SubElement(case, "skipped", message=_clean(f"{several[0].verdict}: {several[0].note}"))
        yield case


def _line(finding: Finding) -> str:
    where = f" {list(finding.element)}" if finding.element else ""
    return f"{finding.check}{where}: {finding.verdict}" + (f", {finding.note}" if finding.note else "")


def _clean(text: str) -> str:
    return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
