"""What holds for every optimizer, whatever its rule: one way by every path and in every arrangement. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from gradtrain.gradcheck.course import Course, Factory, Halt, Trail, walk
from gradtrain.gradcheck.finding import Ledger, Verdict
from gradtrain.gradcheck.published import Published, follow
from gradtrain.gradcheck.trails import beside, evidence_of, least, rounded
from gradtrain.stage import Shape


@dataclass
class Proof:
    factory: Factory
    ledger: Ledger
    generator: torch.Generator
    course: Course
    shapes: tuple[Shape, ...]
    options: dict[str, Any]
    """Those of the first group, as built."""
    rules: list[Published]
    """One a weight; none without a textbook."""
    name: Any

    @contextmanager
    def attempt(self, check: str) -> Iterator[None]:
        """A part of the proof; what the optimizer raises, and where it halts, is its finding."""
        with self.ledger.attempt(check, point=self.course.point):
            try:
                yield
            except Halt as halt:
                note = halt.note if halt.check == check else f"{halt.check}: {halt.note}"
                self.ledger.write(check, halt.verdict, note=note, point=self.course.point)

    def say(self, check: str, holds: bool, note: str) -> None:
        self.ledger.state(check, holds, note, point=self.course.point)

    def compare(self, check: str, got: Trail, expected: Trail, said: str, first: int = 1, bits: bool = False) -> None:
        """Whether two ways of one optimizer are the same; with `bits` to the last one, else to `digits`."""
        pairs = beside(got, expected)[first - 1 :]
        same = all(torch.equal(a, b) for row in pairs for a, b in row)
        worst = least(pairs, self.course.digits)
        evidence = evidence_of(worst) if worst else {}
        if same or (not bits and (worst is None or not worst.disagree)):
            self.ledger.write(check, "pass", **evidence, point=self.course.point)
            return
        t = next(t for t, row in enumerate(pairs, first) for a, b in row if not torch.equal(a, b))
        coarse = rounded(pairs, self.course)
        verdict: Verdict = "precision" if coarse else "fail"
        why = "; the difference is that of a rounding to float32" if coarse else ""
        self.ledger.write(check, verdict, **evidence, note=f"{said}, from step {t} on{why}", point=self.course.point)


def implementations(proof: Proof, base: Trail) -> None:
    """The ways that the optimizer's groups can switch between, against the one it was built with."""
    flags = [name for name in ("foreach", "fused") if name in proof.options]
    if not flags or proof.options.get("differentiable") or proof.options.get("capturable"):
        return
    for chosen in ("single", *flags):
        with proof.attempt("implementations"):
            way = walk(proof.factory, proof.course, switches={name: name == chosen for name in flags})
            proof.compare("implementations", way, base, f"the {chosen} path takes another way than the built one")


def repeated(proof: Proof, base: Trail) -> None:
    with proof.attempt("same twice"):
        again = walk(proof.factory, proof.course)
        same = all(torch.equal(a, b) for row in beside(again, base) for a, b in row)
        note = "two fresh optimizers take different ways from the same state of the random numbers"
        verdict: Verdict = "pass" if same else "nondeterministic"
        proof.ledger.write("same twice", verdict, note="" if same else note, point=proof.course.point)


def restored(proof: Proof, base: Trail) -> None:
    """`state_dict` into a fresh optimizer in the middle of the way."""
    after = proof.course.steps // 2 - 1
    with proof.attempt("state round trip"):
        way = walk(proof.factory, proof.course, reload=after)
        said = f"continued from `state_dict` after step {after}, it takes another way: the state is not complete"
        proof.compare("state round trip", way, base, said, after + 1, bits=True)


def arranged(proof: Proof, base: Trail) -> None:
    """Neither the order of the parameters nor the split into groups matters."""
    layout = proof.course.layout
    with proof.attempt("order"):
        turned = tuple((tuple(reversed(numbers)), share) for numbers, share in layout)
        way = walk(proof.factory, replace(proof.course, layout=turned))
        proof.compare("order", way, base, "with the parameters in another order it takes another way")
    if len(layout) == 1:
        return
    with proof.attempt("split"):
        split = tuple(((number,), share) for numbers, share in reversed(layout) for number in numbers)
        way = walk(proof.factory, replace(proof.course, layout=split))
        proof.compare("split", way, base, "with the parameters split into other groups it takes another way")


def rates(proof: Proof, base: Trail) -> None:
    """A rate of 0, and two groups that differ in nothing but their rate."""
    course = proof.course
    if course.rate is None:
        return
    with proof.attempt("zero rate"):
        still = replace(course, factors=(0.0,) * course.steps)
        try:
            way = walk(proof.factory, still)
        except ZeroDivisionError:
            if course.evaluate is None:
                raise
            return  # a line search has no first length to try
        stays = all(torch.equal(a, b) for row in way.points for a, b in zip(row, course.start, strict=True))
        steady = walk(proof.factory, replace(course, factors=(1.0,) * course.steps))
        ignored = all(torch.equal(a, b) for row in beside(way, steady) for a, b in row)
        if stays or ignored:
            proof.say("zero rate", stays, 'the same steps as at the built rate: group["lr"] is not used')
        elif not proof.rules:
            proof.ledger.write("zero rate", "pass", note="it moves at a rate of 0; without a rule that is no mistake")
        else:
            expected = follow(proof.rules, still, way.rates)
            proof.compare("zero rate", way, expected, "it moves at a rate of 0 where the rule does not, or otherwise")
    if len(course.layout) == 1 or course.evaluate is not None:
        return
    with proof.attempt("rate of a group"):
        twins = replace(course, start=(course.start[0],) * 2, layout=(((0,), 1.0), ((1,), 1 / 3)),
                        pulls=tuple((row[0], row[0]) for row in course.pulls))  # fmt: skip
        one, other = walk(proof.factory, twins).points[-1]
        note = "two groups with equal weights and gradients go the same way, though the second has a third of the rate"
        proof.say("rate of a group", not torch.equal(one, other), note)


def kept(proof: Proof, base: Trail) -> None:
    """Gradients may stay where they are in memory from step to step, as `zero_grad(set_to_none=False)` leaves them."""
    if proof.course.evaluate is not None:
        return
    with proof.attempt("gradients in place"):
        way = walk(proof.factory, proof.course, in_place=True)
        said = "where every gradient is written into the memory of the last one, as `zero_grad(set_to_none=False)` does"
        proof.compare("gradients in place", way, base, f"{said}, it takes another way: it holds the gradient itself")


def missing(proof: Proof, base: Trail) -> None:
    """Parameters that never get a gradient stay as they are, whatever their group does."""
    without = [number for number in range(len(proof.shapes)) if number != 1]
    with proof.attempt("no gradient"):
        way = walk(proof.factory, proof.course, without=without)
        moved = [list(proof.shapes[n]) for n in without if not torch.equal(way.points[-1][n], proof.course.start[n])]
        note = f"weights without a gradient are changed: {', '.join(map(str, moved))}"
        proof.say("no gradient", not moved, note)


def closure(proof: Proof, base: Trail) -> None:
    """`step(closure)` evaluates it, with gradients on, returns its loss and steps the same way."""
    if proof.course.evaluate is not None:
        proof.say("closure", not base.silent, base.silent)
        return
    with proof.attempt("closure"):
        way = walk(proof.factory, proof.course, closure=True)
        if not all(way.calls):  # a step that never needs the loss again may leave it alone
            return
        if way.silent:
            proof.say("closure", False, way.silent)
        elif proof.rules and max(way.calls) > 1:
            note = (
                f"`step(closure)` calls it {max(way.calls)} times; the rule has one gradient a step, and one is enough"
            )
            proof.say("closure", False, note)
        else:
            proof.compare("closure", way, base, "`step(closure)` takes another way than `step()`")


INVARIANTS: tuple[Callable[[Proof, Trail], None], ...] = (
    implementations, repeated, restored, arranged, rates, kept, missing, closure,
)  # fmt: skip
"""Every one of them, in the order of the report."""
