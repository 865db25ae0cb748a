"""Proof of a torch optimizer: its steps are the published rule's, and what holds for every optimizer. Imports torch."""

from __future__ import annotations

import inspect
import time
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gradtrain.gradcheck.course import EPS, RATE, Course, Factory, Halt, Layout, Trail, built, plain, tiny, valley, walk
from gradtrain.gradcheck.finding import Ledger, Verdict, agreement
from gradtrain.gradcheck.invariants import INVARIANTS, Proof
from gradtrain.gradcheck.published import COARSE, Published, eps_of, follow, known, others, published
from gradtrain.gradcheck.report import Report
from gradtrain.gradcheck.suspects import Case, counted_in_single, described, explained
from gradtrain.gradcheck.trails import beside, evidence_of, part_of_way, rounded
from gradtrain.problems import Problem
from gradtrain.stage import Shape

SHAPES: tuple[Shape, ...] = ((3, 4), (5,), (4, 2))
GROUPS: Layout = (((0, 1), 1.0), ((2,), 1 / 3))
"""The second group learns at a third of the rate."""

HALF = 0.1
"""A part of the way that rounding to bfloat16 explains in rules whose authors compute in it."""


def gradcheck_optimizer(factory: Factory, textbook: Any = None, seed: int = 0) -> Report:
    """Everything that can be said about the optimizers that a factory builds.

    `factory` takes a list of parameters, or of parameter groups, and returns a fresh optimizer. `textbook` is the
    name of a published rule ("adamw"), whose numbers are then read from the optimizer's groups and defaults, or an
    object with init(p) and update(g, p, state, t, lr); without one, only what holds for every optimizer is proven.
    Raises `Problem` for something that is no factory, for an unknown rule, and for numbers that cannot be matched.
    """
    started = time.perf_counter()
    _refuse(factory)
    known(textbook) if textbook is not None else None
    ledger = Ledger("optimizers", getattr(factory, "__name__", type(factory).__name__), {})
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        try:
            _prove(factory, textbook, torch.Generator().manual_seed(seed), ledger)
        except Halt as halt:
            ledger.write(halt.check, halt.verdict, note=halt.note)
    return Report(tuple(ledger.findings), seed, time.perf_counter() - started)


def _refuse(factory: Any) -> None:
    what = ""
    if not callable(factory):
        what = f"gradcheck_optimizer was given a {type(factory).__name__}"
    else:
        try:
            inspect.signature(factory).bind([])
        except TypeError as error:
            what = f"the factory cannot be called with the parameters alone: {error}"
        except ValueError:  # a signature that cannot be read may still fit
            return
    if what:
        raise Problem(
            "not-a-factory", what,
            why="fresh optimizers are built over weights of the checker's own, with one parameter group and with two",
            help="give a function of the parameters: gradcheck_optimizer(lambda params: torch.optim.Adam(params))",
        )  # fmt: skip


def _prove(factory: Factory, textbook: Any, generator: torch.Generator, ledger: Ledger) -> None:
    shapes, rate = _accepted(factory, ledger)
    layout: Layout = GROUPS if len(shapes) == len(SHAPES) else (((0,), 1.0), ((1,), 1 / 3))
    alone: Layout = ((tuple(range(len(shapes))), 1.0),)
    course = plain(shapes, layout, rate, generator)
    try:
        optimizer = built(factory, _parameters(course), course)
    except Exception as error:
        note = f"two parameter groups are refused, and were not checked: {type(error).__name__}: {error}"
        ledger.write("groups", "pass", note=note)
        course = replace(course, layout=alone)
        optimizer = built(factory, _parameters(course), course)
    ledger.who = (ledger.who[0], type(optimizer).__name__, ledger.who[2])
    rules = _rules(textbook, factory, course)
    hill = valley(shapes, course.layout, rate, generator)
    if getattr(rules[0].rule if rules else None, "closure", False) or not _steps_alone(factory, course, hill):
        course = hill
    if rules and getattr(rules[0].rule, "averages", False):  # a rule without a schedule has no word about one
        course = replace(course, factors=(1.0,) * course.steps)
    proof = Proof(factory, ledger, generator, course, shapes, dict(optimizer.param_groups[0]), rules, textbook)
    base = _led(proof, course)
    if base is None:
        return
    _about_one(proof, base)
    if rules:
        _against_rule(proof, base, eps_of(optimizer))
    for part in (_numbers, *INVARIANTS):
        part(proof, base)


def _accepted(factory: Factory, ledger: Ledger) -> tuple[tuple[Shape, ...], float | None]:
    """The shapes of weights that the factory takes, and its rate. Raises `Halt`."""
    first: Exception | None = None
    for shapes in (SHAPES, tuple(shape for shape in SHAPES if len(shape) == 2)):
        course = Course("", tuple(torch.zeros(s, dtype=torch.float64) for s in shapes), (), (),
                        ((tuple(range(len(shapes))), 1.0),), None)  # fmt: skip
        try:
            optimizer = built(factory, _parameters(course), course)
        except Halt:
            raise
        except Exception as error:
            first = first or error
            continue
        groups = optimizer.param_groups
        rate = float(groups[0]["lr"]) or RATE if "lr" in groups[0] else None
        ledger.write("build", "pass", note="" if first is None else f"matrices only; for vectors it raises {first}")
        return shapes, rate
    raise Halt("build", "fail", f"the factory raises {type(first).__name__}: {first}")


def _parameters(course: Course) -> list[nn.Parameter]:
    return [nn.Parameter(w.clone()) for w in course.start]


def _rules(textbook: Any, factory: Factory, course: Course) -> list[Published]:
    """The published rule for every weight, with the numbers of its group."""
    if textbook is None:
        return []
    weights = _parameters(course)
    optimizer = built(factory, weights, course)
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return [published(textbook, optimizer, groups[id(weight)]) for weight in weights]


def _steps_alone(factory: Factory, course: Course, hill: Course) -> bool:
    """False where `step()` raises and `step(closure)` does not: it evaluates the loss itself."""
    try:
        walk(factory, replace(course, factors=course.factors[:1]))
    except Halt:
        return True
    except Exception:
        try:
            walk(factory, replace(hill, factors=hill.factors[:1]))
        except Exception:
            return True
        return False
    return True


def _led(proof: Proof, course: Course) -> Trail | None:
    """The way of the optimizer as it is built; None, and a finding, where it does not get to the end."""
    try:
        return walk(proof.factory, course)
    except Halt as halt:
        proof.ledger.write(halt.check, halt.verdict, note=halt.note, point=course.point)
    except Exception as error:
        note = f"`step` raises {type(error).__name__}: {error}"
        proof.ledger.write("step", "fail", note=note, point=course.point)
    return None


def _about_one(proof: Proof, base: Trail) -> None:
    """What every step of the first way was looked at for; the first miss would have ended it."""
    for check in ("finite", "shape", "dtype"):
        proof.say(check, True, "")
    if proof.course.evaluate is None:
        proof.say("gradient kept", not base.touched, base.touched)
    if base.averages:
        proof.say("eval and train", not base.restored, base.restored)


def _against_rule(proof: Proof, base: Trail, eps: float | None) -> None:
    """Every step on every course against the published rule."""
    courses, ways = [proof.course], [base]
    if proof.course.evaluate is None and proof.name not in COARSE:
        near = tiny(proof.shapes, proof.course.layout, proof.course.rate, eps or EPS, proof.generator)
        near = replace(near, factors=proof.course.factors)
        way = _led(proof, near)
        if way is not None:
            courses.append(near)
            ways.append(way)
    cases = []
    for course, way in zip(courses, ways, strict=True):
        try:
            expected = follow(proof.rules, course, way.rates)
        except Exception as error:
            note = f"the textbook raises {type(error).__name__}: {error}"
            proof.ledger.write("update", "fail", note=note, point=course.point)
            return
        shaped = all(a.shape == b.shape for row in beside(way, expected) for a, b in row)
        if not shaped or not all(bool(w.isfinite().all()) for row in expected.points for w in row):
            what = "finite numbers" if shaped else "weights of their own shape"
            proof.ledger.write("update", "unresolved", note=f"the textbook gives no {what} here", point=course.point)
            return
        cases.append(Case(course, proof.rules, way, expected))
    verdict, note = _judged(proof, cases)
    for sample, case in enumerate(cases):
        _write_update(proof, case, sample, verdict, note)
    if cases[0].expected.averages:
        _measured(proof, cases[0])


def _judged(proof: Proof, cases: list[Case]) -> tuple[Verdict, str]:
    """What the differences of all courses together are, and what they look like."""
    rows = [beside(case.got, case.expected) for case in cases]
    if all(case.agrees for case in cases):
        return "pass", ""
    if said := explained(cases):
        return "fail", f"{said}; with that it agrees to {min(case.course.digits for case in cases)} digits"
    share = max(part_of_way(pairs, case.course) for pairs, case in zip(rows, cases, strict=True))
    if all(rounded(pairs, case.course) for pairs, case in zip(rows, cases, strict=True)):
        first, last = (part_of_way(rows[0][:steps], cases[0].course) for steps in (1, len(rows[0])))
        grows = "grows with the steps, " if last > 2 * first else ""
        note = f"the difference {grows}reaches {share:.1e} of the way: the algebra is right, a part of it is float32"
        return "precision", note
    if counted_in_single(cases):
        note = "the number of the step is a float32 tensor: 1 - beta^t, and every step with it, loses digits"
        return "precision", f"{note}; the difference reaches {share:.1e} of the way"
    if proof.name in COARSE and share < HALF:
        return "precision", f"the difference reaches {share:.1e} of the way: bfloat16 inside, as its authors have it"
    if all(torch.equal(w, w.float().double()) for case in cases for row in case.got.points for w in row):
        return "precision", "the weights are float32 numbers after every step, though they are kept in float64"
    return "fail", described(cases) or f"the difference reaches {share:.1e} of the way"


def _write_update(proof: Proof, case: Case, sample: int, verdict: Verdict, note: str) -> None:
    """A finding a weight: the first step that differs, or the one that agrees least."""
    pairs = beside(case.got, case.expected)
    for number, start in enumerate(case.course.start):
        found = [agreement(*row[number], digits=case.course.digits) for row in pairs]
        t = next((t for t, one in enumerate(found) if one.disagree), None)
        group = next(place for place, (numbers, _) in enumerate(case.course.layout) if number in numbers)
        shown = t if t is not None else min(range(len(found)), key=lambda i: found[i].digits)
        point = f"{case.course.point}, step {shown + 1}, group {group}, weight {list(start.shape)}"
        here: Verdict = "pass" if t is None else verdict
        said = note if t is not None else ""
        proof.ledger.write("update", here, **evidence_of(found[shown]), sample=sample, point=point, note=said)


def _measured(proof: Proof, case: Case) -> None:
    """A rule that measures at another point than it trains at: `eval()` must show that point."""
    if not case.got.averages:
        note = "the optimizer has no eval() and train(): where it is measured was not checked"
        proof.ledger.write("average", "pass", note=note, point=case.course.point)
        return
    got, expected = (Trail(points=way.averages) for way in (case.got, case.expected))
    trained = all(torch.equal(a, b) for row in beside(got, case.got) for a, b in row)
    said = "eval() shows the weights that are trained, not the average" if trained else "eval() shows other weights"
    proof.compare("average", got, expected, said)


def _numbers(proof: Proof, base: Trail) -> None:
    """A number changed in the last group changes the way of its weights as it changes the rule's, and no other.

    A rule that evaluates the loss itself has one number for all groups: there it is changed in every one.
    """
    together = proof.course.evaluate is not None
    sound = proof.rules and proof.name not in COARSE and all(finding.ok for finding in proof.ledger.findings)
    for name, value in others(proof.rules[0], proof.options) if sound else ():
        with proof.attempt(f"group {name}"):
            mine = range(len(proof.rules)) if together else proof.course.layout[-1][0]
            rules = [
                rule.varied(**{name: value}) if number in mine else rule for number, rule in enumerate(proof.rules)
            ]
            expected = follow(rules, proof.course, base.rates)
            changed = {name: value}
            way = walk(
                proof.factory, proof.course, switches=changed if together else None, last=None if together else changed
            )
            where = "" if together else ", set in the last group alone,"
            proof.compare(
                f"group {name}", way, expected, f'group["{name}"] = {value}{where} is not read as the rule reads it'
            )
