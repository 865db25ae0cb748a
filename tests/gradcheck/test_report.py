"""The findings as a table, as evidence and as JSON."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import jsonschema
import pytest
from rich.console import Console

from gradtrain import registry
from gradtrain.gradcheck import Report, Row, as_json, check_everything, show
from gradtrain.gradcheck.finding import VERDICTS, Finding
from gradtrain.gradcheck.report import blocks, evidence, summary, table

NUMBER = {"anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}, {"type": "null"}]}
COUNT = {"type": "integer", "minimum": 0}
VERDICT = {"enum": list(VERDICTS)}
TEXT = {"type": "string"}


def closed(**properties):
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


SCHEMA = closed(
    format={"const": 2}, torch=TEXT, seed=COUNT, ok={"type": "boolean"}, verdict=VERDICT, seconds={"type": "number"},
    components={"type": "array", "items": closed(
        family=TEXT, name=TEXT, cases=COUNT, checks=COUNT, digits=NUMBER, verdict=VERDICT, seconds=NUMBER,
    )},
    findings={"type": "array", "items": closed(
        family=TEXT, component=TEXT, case={"type": "object"}, check=TEXT, verdict=VERDICT, digits=NUMBER,
        element={"anyOf": [{"type": "array", "items": COUNT}, {"type": "null"}]}, got=NUMBER, expected=NUMBER,
        disagree=COUNT, elements=COUNT, sample=COUNT, point=TEXT, note=TEXT,
        at=NUMBER, bound=NUMBER, in_graph={"type": "boolean"}, seconds=NUMBER, relative=NUMBER,
    )},
)  # fmt: skip

WRONG = Finding(
    "losses", "huber", {"delta": 0.3}, "gradient of prediction", "fail", 0.3, (2, 1), 2.0, 1.0, 9, 21, 1,
    "prediction [7, 3] float64",
)  # fmt: skip
AGAIN = Finding("losses", "huber", {"delta": 0.3}, "mean", "fail", 0.2, (), 2.0, 1.0, 1, 1)
BROKEN = Finding("losses", "mse", {}, "forward", "nonfinite", 0.0, (0,), float("nan"), float("inf"), 1, 1)
RIGHT = Finding("losses", "mse", {}, "shape", "pass")


def printed(report: Report, width: int) -> str:
    stream = io.StringIO()
    show(report, Console(file=stream, width=width, color_system=None))
    return stream.getvalue()


@pytest.fixture(scope="module")
def real() -> Report:
    return check_everything(["losses", "regularizers", "schedules"])


def test_the_json_keeps_its_schema(real):
    for report in (real, Report((WRONG, AGAIN, BROKEN, RIGHT), 5, 0.25), Report((), 0, 0.0)):
        said = json.loads(json.dumps(as_json(report), allow_nan=False))
        jsonschema.validate(said, SCHEMA)
        assert said["ok"] == report.ok
        assert len(said["findings"]) == len(report.findings)


def test_json_writes_nonfinite_numbers_as_text():
    (finding,) = as_json(Report((BROKEN,), 0, 0.0))["findings"]
    assert (finding["got"], finding["expected"]) == ("nan", "inf")


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_everything_fits(width):
    pairs = [(shelf, name) for shelf, family in registry.families().items() for name in registry.names(family)]
    rows = [Row(shelf, name, 12, 1234, 13.8, "nonfinite", 1.234) for shelf, name in pairs]
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(table(rows))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert all(any(name in line and shelf in line for line in lines) for shelf, name in pairs)
    assert all(word in lines[1] for word in ("family", "component", "cases", "checks", "digits", "verdict", "ms"))


def test_a_report_without_failures_says_so_in_one_line(real):
    last = printed(real, 120).splitlines()[-1]
    assert real.ok
    assert last.startswith(f"{len(real.rows)} components, {len(real.findings):,} checks in ")
    least = re.search(r": all passed to ([\d.]+) digits, by differences to [\d.]+$", last)
    assert least is not None
    assert float(least[1]) >= 10


def test_the_sum_tells_what_failed_from_what_is_open():
    lost = replace(RIGHT, component="mse", verdict="inert", in_graph=False)
    open_ = replace(RIGHT, component="dice", verdict="unresolved")
    assert ": all passed" in summary(Report((RIGHT,), 5, 0.25))
    assert summary(Report((RIGHT, lost), 5, 0.25)).endswith(": 1 failed: losses.mse")
    assert summary(Report((lost, open_), 5, 0.25)).endswith(": 1 failed: losses.mse; 1 unresolved: losses.dice")
    assert summary(Report((RIGHT, open_), 5, 0.25)).endswith(": 1 unresolved: losses.dice")


def test_evidence_names_everything():
    assert evidence(WRONG).splitlines() == [
        "fail[gradient of prediction]: losses.huber",
        "  case      delta: 0.3",
        "  input     prediction [7, 3] float64 (sample 1)",
        "  element   [2, 1]",
        "  got       2.0                      by autograd",
        "  expected  1.0                      by the closed form",
        "  relative  1.00e+00, 0.3 digits agree",
        "  elements  9 of 21 disagree",
    ]


def test_evidence_of_a_gradient_says_where_it_was_taken():
    kink = Finding("activations", "relu", {}, "gradient of x", "fail", 0.0, (0, 0), 1.0, 0.0, 1, 12, at=0.0)
    assert "  element   [0, 0], where x is 0.0" in evidence(kink).splitlines()


def test_a_case_shows_its_first_failure_and_counts_the_others():
    (block,) = blocks([WRONG, AGAIN, AGAIN])
    assert block.count("fail[") == 1
    assert block.splitlines()[-1] == "  also      mean ×2"


def test_each_failed_component_has_its_block():
    shown = printed(Report((WRONG, AGAIN, BROKEN, RIGHT), 0, 0.1), 80)
    assert "fail[gradient of prediction]: losses.huber" in shown
    assert "nonfinite[forward]: losses.mse" in shown
    assert shown.splitlines()[-1] == ("2 components, 4 checks in 0.1 s (seed 0): 2 failed: losses.huber, losses.mse")


def test_the_row_holds_the_worst_of_a_component():
    row = Row.of([WRONG, AGAIN])
    assert (row.verdict, row.digits, row.cases, row.checks) == ("fail", 0.2, 1, 2)
    assert Row.of([RIGHT, BROKEN]).verdict == "nonfinite"
    assert Row.of([RIGHT]).digits is None


def test_control_characters_of_a_component_do_not_reach_the_terminal():
    noisy = Finding("losses", "huber", {}, "forward", "fail", note="ValueError: \x1b[31mred")
    assert "\x1b" not in evidence(noisy)
