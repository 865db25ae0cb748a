"""From signs to findings: what lasts begins, what hovers does not flicker, and one root speaks for its consequences."""

from __future__ import annotations

from typing import Any

from gradtrain import registry
from gradtrain.components.measures import Measure, Sign
from gradtrain.diagnostics.causes import EXPLAINS, ORDER
from gradtrain.diagnostics.findings import Findings

LOOKED = list(ORDER)


def sign(name: str, excess: float = 2.0, layer: str = "0.linear") -> Sign:
    return Sign(name, excess, layer, "evidence", "cause", "remedy")


def told(
    course: list[dict[str, float]], lasts: int = 2, memory: dict[str, Any] | None = None
) -> list[tuple[int, str, str]]:
    """(step, event, name) of a course of looks; each look maps names to excesses."""
    findings = Findings({} if memory is None else memory)
    lines = []
    for step, look in enumerate(course, 1):
        signs = [(sign(name, excess), lasts) for name, excess in look.items()]
        lines += findings.take(step, "model", signs, LOOKED)
    return [(line["step"], line["event"], line["name"]) for line in lines]


def test_a_sign_must_last_and_so_must_its_absence() -> None:
    course: list[dict[str, float]] = [
        {"vanishing": 2},
        {},
        {},
        {"vanishing": 2},
        {"vanishing": 2},
        {},
        {"vanishing": 2},
        {},
        {},
    ]
    assert told(course) == [(5, "began", "vanishing"), (9, "ended", "vanishing")]


def test_what_hovers_around_its_threshold_begins_once() -> None:
    course = [{"vanishing": 1.1 if step % 2 else 0.8} for step in range(20)]
    assert told(course) == [(4, "began", "vanishing")]


def test_what_stays_below_the_threshold_never_begins() -> None:
    assert told([{"vanishing": 0.99}] * 9) == []


def test_a_finding_dates_from_its_first_sign() -> None:
    findings = Findings({})
    lines = [line for step in (3, 4) for line in findings.take(step, "model", [(sign("vanishing"), 2)], LOOKED)]
    assert [line["since"] for line in lines] == [3]


def test_the_root_speaks_for_its_consequences_while_it_stands() -> None:
    course = [{"unscaled_inputs": 2, "saturation": 2, "vanishing": 2, "rate_too_low": 2}] * 4
    assert told(course) == [(2, "began", "unscaled_inputs")]


def test_what_outlasts_its_root_is_told_then() -> None:
    both, rest = {"unscaled_inputs": 2.0, "vanishing": 2.0}, {"vanishing": 2.0}
    assert told([both, both, both, rest, rest]) == [
        (2, "began", "unscaled_inputs"),
        (5, "ended", "unscaled_inputs"),
        (5, "began", "vanishing"),
    ]


def test_of_two_that_explain_one_another_the_earlier_is_the_cause() -> None:
    assert told([{"rate_too_high": 2}] * 2 + [{"rate_too_high": 2, "dead_units": 2}] * 3) == [
        (2, "began", "rate_too_high")
    ]
    assert told([{"rate_too_high": 2, "dead_units": 2}] * 3) == [(2, "began", "dead_units")]


def test_networks_have_findings_of_their_own() -> None:
    findings = Findings({})
    for step in (1, 2):
        one = findings.take(step, "generator", [(sign("vanishing"), 2)], LOOKED)
        two = findings.take(step, "critic", [(sign("exploding"), 2)], LOOKED)
    assert [line["network"] for line in (*one, *two)] == ["generator", "critic"]


def test_what_a_look_could_not_see_is_neither_there_nor_gone() -> None:
    findings = Findings({})
    for step in (1, 2):
        findings.take(step, "model", [(sign("vanishing"), 2)], LOOKED)
    for step in range(3, 9):
        assert findings.take(step, "model", [], ["gradient_spike"]) == []


def test_the_memory_goes_on_where_it_was() -> None:
    memory: dict[str, Any] = {}
    assert told([{"vanishing": 2}], memory=memory) == []
    assert told([{"vanishing": 2}], memory=memory) == [(1, "began", "vanishing")]


def test_every_finding_of_every_measure_has_its_place_among_the_causes() -> None:
    found = {name for measure in registry.names(Measure) for name in registry.find(Measure, measure).finds}
    assert found <= set(ORDER)
    assert {name for names in EXPLAINS.values() for name in names} <= set(ORDER)


def test_of_two_signs_with_one_name_the_stronger_one_speaks() -> None:
    findings, lines = Findings({}), []
    for step in (1, 2):
        signs = [(sign("rate_too_high", 1.5, "a"), 2), (sign("rate_too_high", 0.8, "b"), 2)]
        lines += findings.take(step, "model", signs, LOOKED)
    assert [line["layer"] for line in lines] == ["a"]
