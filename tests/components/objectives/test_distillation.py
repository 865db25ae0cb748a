"""Distillation: the student learns, the teacher does not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.objectives import Outline, Task
from gradtrain.components.objectives.distillation import Distillation
from gradtrain.training.batches import Batches
from gradtrain.training.evaluation import measure
from gradtrain.training.precision import Precision

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
BATCH = {"x": X, "y": torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])}


@pytest.fixture
def networks(seeded) -> dict[str, nn.Module]:
    return {"student": nn.Linear(4, 3).double(), "teacher": nn.Linear(4, 3).double()}


def task(temperature: float, weight: float) -> Task:
    loss = [WeightedLoss(part=CrossEntropy())]
    return Distillation(temperature=temperature, weight=weight).start(loss, "class", Facts(classes=3))


@pytest.mark.parametrize(("temperature", "weight"), [(4.0, 0.9), (1.0, 0.5), (10.0, 1.0)])
def test_the_total_and_its_gradient(networks, temperature: float, weight: float) -> None:
    s, t = networks["student"](X).detach(), networks["teacher"](X).detach()
    p, q = (t / temperature).softmax(1), (s / temperature).softmax(1)
    hard = -s.log_softmax(1)[torch.arange(8), BATCH["y"]].mean()
    soft = temperature**2 * (p * (p.log() - q.log())).sum(dim=1).mean()
    terms = task(temperature, weight).losses("student", networks, BATCH)
    torch.testing.assert_close(terms.total.detach(), (1 - weight) * hard + weight * soft)
    torch.testing.assert_close(terms.losses["distillation"], soft)
    torch.testing.assert_close(terms.losses["cross_entropy"], hard)
    terms.total.backward()
    right = nn.functional.one_hot(BATCH["y"], 3)
    slope = (1 - weight) * (s.softmax(1) - right) / 8 + weight * temperature * (q - p) / 8
    torch.testing.assert_close(networks["student"].weight.grad, slope.T @ X)


def test_the_teacher_has_no_gradient(networks) -> None:
    task(4.0, 0.9).losses("student", networks, BATCH).total.backward()
    assert all(p.grad is None for p in networks["teacher"].parameters())


def test_the_teacher_is_at_rest_and_without_dropout(seeded) -> None:
    """Also where the config does not freeze it."""
    teacher = nn.Sequential(nn.Linear(4, 20), nn.Dropout(0.5), nn.BatchNorm1d(20), nn.Linear(20, 3)).double()
    networks = {"student": nn.Linear(4, 3).double(), "teacher": teacher.train()}
    made, before = task(4.0, 0.9), {name: value.clone() for name, value in teacher.state_dict().items()}
    made.bind(networks, Examples(BATCH, Facts(classes=3)))
    assert not any(p.requires_grad for p in teacher.parameters())
    totals = {float(made.losses("student", networks, BATCH).total.detach()) for _ in range(5)}
    assert len(totals) == 1
    batches = Batches(BATCH, 8, 0, shuffle=False)
    measured = measure(made, networks, batches, [], "class", Facts(classes=3), Precision())
    assert measured["loss"] == pytest.approx(totals.pop(), rel=1e-12)
    assert not teacher.training  # an evaluation puts the networks back as they were
    assert networks["student"].training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_the_student_is_what_is_measured_and_asked(networks) -> None:
    made = task(4.0, 0.9)
    _, scores, target = made.measure(networks, BATCH)
    assert torch.equal(scores, networks["student"](X))
    assert target is BATCH["y"]
    assert torch.equal(made.predict(networks, BATCH), scores)


def test_roles_and_complaints() -> None:
    assert (Distillation().roles, Distillation().updates) == (("student", "teacher"), ("student",))

    def told(student: int, teacher: int) -> list[tuple[str, str]]:
        outlines = {"student": Outline((4,), (student,), ()), "teacher": Outline((4,), (teacher,), ("linear",))}
        return [(w, p.code) for w, p in Distillation().complaints(outlines, Facts(classes=3))]

    alone = {"student": Outline((4,), (4,), ())}  # the teacher comes from a run
    assert [(w, p.code) for w, p in Distillation().complaints(alone, Facts(classes=3))] == [("student", "output-width")]
    assert told(3, 3) == []
    assert told(3, 4) == told(4, 4) == [("student", "output-width")]
