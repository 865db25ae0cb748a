"""Distillation: a small network learns from a trained one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.kl_divergence import KlDivergence
from gradtrain.components.objectives import Batch, Complaint, Networks, Objective, Outline, Task, Terms, width
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.lazy import Tensor, torch


class Distillation(Objective):
    """The student learns the labels, and also how sure the teacher is of every wrong answer.

    With s, t the scores of student and teacher, p = softmax(t / T), q = softmax(s / T), T the temperature:

    value     total = (1 - weight) loss(s, y) + weight T² KL(p ‖ q)
    gradient  of the second term by s:  weight T (q - p) / batch;  the teacher has none
    paper     Hinton, Vinyals & Dean (2015), arXiv:1503.02531
    note      T² keeps the size of the gradient when T changes. The teacher comes from a run,
              `models: {teacher: {trained: runs/teacher/001}, student: …}`, and answers as it does in evaluation,
              without dropout; it never changes, whether or not it is `frozen: true`.
    """

    given: ClassVar[tuple[str, ...]] = ("teacher",)
    cases = [{}, {"temperature": 10.0, "weight": 0.9}]

    temperature: PositiveFloat = 4.0
    """T: above 1 the teacher's doubts become visible."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of what the teacher says."""

    @property
    def roles(self) -> tuple[str, ...]:
        return ("student", "teacher")

    @property
    def updates(self) -> tuple[str, ...]:
        return ("student",)

    @property
    def measures(self) -> Mapping[str, Literal["min", "max"]]:
        return {"distillation": "min"}

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        student, teacher = networks["student"], networks.get("teacher")
        if teacher is not None and student.output != teacher.output:
            why = "the student says what the teacher says, class by class"
            yield width("student", student.output, teacher.output, why, "give both the same last layer")
        elif facts.classes is not None and student.output != (facts.classes,):
            help = "end with `linear: $data.classes`"
            yield width("student", student.output, (facts.classes,), "one score a class", help)

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Distillation(self, losses)


class _Distillation(Task):
    def __init__(self, distillation: Distillation, losses: Sequence[WeightedLoss]) -> None:
        self.weight, self.terms = distillation.weight, Weighted(losses)
        self.taught = KlDivergence(temperature=distillation.temperature)

    def bind(self, networks: Networks, examples: Examples) -> None:
        """Puts the teacher at rest, so that no optimizer, penalty or decay sees it, and nothing in it is random."""
        networks["teacher"].requires_grad_(False).eval()

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["y"])

    def _terms(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor]:
        scores = networks["student"](batch["x"])
        with torch.no_grad():
            told = networks["teacher"](batch["x"])
        own, taught = self.terms(scores, batch["y"]), self.taught.reduced(scores, told)
        total = (1 - self.weight) * own.total + self.weight * taught
        return Terms(total, {**own.losses, "distillation": taught.detach()}), scores

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self._terms(networks, batch)[0]

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        terms, scores = self._terms(networks, batch)
        return terms, scores, batch["y"]

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["student"](batch["x"])  # type: ignore[no-any-return]
