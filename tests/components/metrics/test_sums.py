"""Metrics that add up: the value over a split does not depend on how it was cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Metric, decided
from gradtrain.components.metrics.accuracy import Accuracy
from gradtrain.components.metrics.mae import Mae
from gradtrain.components.metrics.r2 import R2
from gradtrain.components.metrics.rmse import Rmse
from gradtrain.components.metrics.top_k import TopK
from gradtrain.problems import Problem

CUTS = [[101], [1, 100], [64, 32, 5], [50, 50, 1], [1] * 101]


def measured(metric: Metric, prediction: torch.Tensor, target: torch.Tensor, kind: str, cut: list[int]) -> float:
    accumulator = metric.start(kind, Facts())
    for p, t in zip(prediction.split(cut), target.split(cut), strict=True):
        accumulator.add(p, t)
    value = accumulator.value()
    assert isinstance(value, float)
    return value


def scores(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def labels(classes: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cut", CUTS)
def test_values(cut) -> None:
    prediction, target = scores(101, 3), 2 * scores(101, 3).flip(0) + torch.tensor([100.0, 0.0, -5.0])
    p, t = prediction.numpy().astype("f8"), target.numpy().astype("f8")
    assert measured(Mae(), prediction, target, "value", cut) == pytest.approx(np.abs(p - t).mean(), rel=1e-12)
    assert measured(Rmse(), prediction, target, "value", cut) == pytest.approx(
        np.sqrt(((p - t) ** 2).mean()), rel=1e-12
    )
    ratio = ((t - p) ** 2).sum(axis=0) / ((t - t.mean(axis=0)) ** 2).sum(axis=0)
    assert measured(R2(), prediction, target, "value", cut) == pytest.approx((1 - ratio).mean(), rel=1e-9)


def test_a_mean_of_batch_means_would_be_wrong() -> None:
    prediction, target = torch.tensor([[0.0], [0.0], [3.0]]), torch.zeros(3, 1)
    assert measured(Rmse(), prediction, target, "value", [2, 1]) == pytest.approx(3**0.5)
    assert measured(Mae(), prediction, target, "value", [2, 1]) == 1.0


def test_r2_at_its_landmarks() -> None:
    target = torch.tensor([[1.0], [2.0], [6.0]])
    assert measured(R2(), target, target, "value", [2, 1]) == 1.0
    assert measured(R2(), torch.full((3, 1), 3.0), target, "value", [2, 1]) == pytest.approx(0.0)
    for constant in (5.0, 0.1, 0.0):
        assert np.isnan(measured(R2(), target, torch.full((3, 1), constant), "value", [2, 1]))


@pytest.mark.parametrize("cut", CUTS)
def test_accuracy(cut) -> None:
    prediction, target = scores(101, 4), labels(4, 101)
    expected = (prediction.numpy().argmax(axis=1) == target.numpy()).mean()
    assert measured(Accuracy(), prediction, target, "class", cut) == pytest.approx(expected)
    one, yes = scores(101, 1), labels(2, 101, 1).float()
    expected = ((one.numpy() > 0) == (yes.numpy() == 1)).mean()
    assert measured(Accuracy(), one, yes, "binary", cut) == pytest.approx(expected)
    assert measured(Accuracy(), one, 2 * yes - 1, "pm1", cut) == pytest.approx(expected)
    many, several = scores(101, 3), labels(2, 101, 3).float()
    expected = ((many.numpy() > 0) == (several.numpy() == 1)).mean()
    assert measured(Accuracy(), many, several, "multilabel", cut) == pytest.approx(expected)


def test_class_probabilities_are_scored_by_their_most_likely_class() -> None:
    target = torch.eye(3)[labels(3, 101)]
    expected = (scores(101, 3).argmax(1) == target.argmax(1)).double().mean().item()
    assert measured(Accuracy(), scores(101, 3), target, "class", [101]) == expected


@pytest.mark.parametrize("k", [1, 2, 3, 9])
@pytest.mark.parametrize("cut", CUTS)
def test_top_k(k, cut) -> None:
    prediction, target = scores(101, 4), labels(4, 101)
    rank = (prediction > prediction.gather(1, target.unsqueeze(1))).sum(dim=1)
    expected = (rank < k).double().mean().item()
    assert measured(TopK(k=k), prediction, target, "class", cut) == pytest.approx(expected)
    if k == 1:
        assert expected == measured(Accuracy(), prediction, target, "class", cut)


def test_sequences_count_every_position() -> None:
    prediction, target = scores(5, 4, 7), labels(4, 5, 7)
    expected = (prediction.argmax(1) == target).double().mean().item()
    assert measured(Accuracy(), prediction, target, "class", [5]) == pytest.approx(expected)
    assert measured(TopK(k=4), prediction, target, "class", [5]) == 1.0


@pytest.mark.parametrize(
    ("metric", "kind", "prediction", "target"),
    [
        (Mae(), "value", (4,), (4, 1)),
        (Mae(), "value", (4, 1), (4,)),
        (Rmse(), "value", (4, 3), (4, 1)),
        (R2(), "value", (4, 1), (4, 2)),
        (Accuracy(), "binary", (4, 1), (4,)),
        (Accuracy(), "class", (4, 3), (4, 1)),
    ],
)
def test_shapes_that_torch_would_broadcast_are_refused(metric, kind, prediction, target) -> None:
    with pytest.raises(Problem) as caught:
        metric.start(kind, Facts()).add(torch.zeros(prediction), torch.zeros(target, dtype=torch.long))
    assert caught.value.code == "output-width"
    assert str(list(target)) in caught.value.what


def test_low_precision_does_not_limit_the_sum() -> None:
    prediction = torch.ones(70_000, 1, dtype=torch.bfloat16)
    assert measured(Mae(), prediction, torch.zeros(70_000, 1), "value", [70_000]) == 1.0
    assert measured(Accuracy(), prediction, torch.ones(70_000, 1), "binary", [70_000]) == 1.0


@pytest.mark.parametrize("metric", [Accuracy(), Mae(), Rmse(), R2(), TopK()], ids=lambda m: m.name())
def test_nothing_measured_is_not_a_number(metric) -> None:
    assert np.isnan(metric.start(metric.kinds[0], Facts()).value())


def test_answers_that_scores_mean() -> None:
    assert decided(torch.tensor([[0.1, 0.9], [3.0, -1.0]]), "class").tolist() == [1, 0]
    assert decided(torch.tensor([[0.1], [-0.1], [0.0]]), "pm1").tolist() == [[True], [False], [False]]
