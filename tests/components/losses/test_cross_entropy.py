"""Cross-entropy against torch's own module, and against sums written out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.problems import Problem

WEIGHTS = (0.5, 1.0, 2.0, 0.3)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.2},
    {"weights": WEIGHTS},
    {"weights": WEIGHTS, "label_smoothing": 0.2},
    {"ignore_index": 2},
    {"ignore_index": -1, "label_smoothing": 0.2},
    {"ignore_index": 255, "weights": WEIGHTS},
    {"ignore_index": -100, "weights": WEIGHTS, "label_smoothing": 0.2},
]


def scores(*shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(4)
    return 2 * torch.randn(*shape, generator=draw, dtype=torch.float64)


def labels(ignored: int | None, *shape: int) -> Tensor:
    drawn = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(5))
    if ignored is not None:
        drawn.view(-1)[1::3] = ignored
    return drawn


def theirs(options: dict[str, Any], reduction: str) -> nn.CrossEntropyLoss:
    given = dict(options)
    weights = given.pop("weights", None)
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    return nn.CrossEntropyLoss(weight, reduction=reduction, **given)


@pytest.mark.parametrize("extra", [(), (3,), (3, 2)], ids=["samples", "one-axis", "two-axes"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_labels_cost_what_torch_says(options: dict[str, Any], extra: tuple[int, ...]) -> None:
    loss, prediction = CrossEntropy(**options), scores(7, 4, *extra)
    target = labels(loss.ignore_index, 7, *extra)

    assert torch.equal(loss.forward(prediction, target), theirs(options, "none")(prediction, target))
    assert torch.equal(loss.mean(prediction, target), theirs(options, "mean")(prediction, target))


@pytest.mark.parametrize("extra", [(), (3,), (3, 2)], ids=["samples", "one-axis", "two-axes"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_mean_is_the_sum_over_the_count(options: dict[str, Any], extra: tuple[int, ...]) -> None:
    loss, prediction = CrossEntropy(**options), scores(7, 4, *extra)
    target = labels(loss.ignore_index, 7, *extra)

    by_count = loss.forward(prediction, target).sum() / loss.count(target)
    torch.testing.assert_close(by_count, theirs(options, "mean")(prediction, target), rtol=1e-12, atol=0)


@pytest.mark.parametrize("options", [o for o in OPTIONS if "ignore_index" not in o], ids=str)
@pytest.mark.parametrize("extra", [(), (3,)], ids=["samples", "one-axis"])
def test_probabilities_cost_what_torch_says(options: dict[str, Any], extra: tuple[int, ...]) -> None:
    loss, prediction = CrossEntropy(**options), scores(7, 4, *extra)
    target = scores(8, 4, *extra)[1:].softmax(dim=1)

    mean = theirs(options, "mean")(prediction, target)
    assert torch.equal(loss.forward(prediction, target), theirs(options, "none")(prediction, target))
    assert torch.equal(loss.mean(prediction, target), mean)
    assert loss.count(target) == 7 * math.prod(extra)
    torch.testing.assert_close(loss.forward(prediction, target).sum() / loss.count(target), mean, rtol=1e-12, atol=0)


def test_certain_probabilities_are_labels() -> None:
    prediction, target = scores(7, 4), labels(None, 7)
    certain = torch.nn.functional.one_hot(target, 4).double()
    for options in ({}, {"label_smoothing": 0.2}, {"weights": WEIGHTS}):
        loss = CrossEntropy(**options)
        torch.testing.assert_close(loss.forward(prediction, certain), loss.forward(prediction, target))


def test_equal_scores_cost_the_logarithm_of_the_number_of_classes() -> None:
    prediction, target = torch.zeros(3, 4, dtype=torch.float64), torch.tensor([0, 3, 1])
    for smoothing in (0.0, 0.3):
        cost = CrossEntropy(label_smoothing=smoothing).forward(prediction, target)
        torch.testing.assert_close(cost, torch.full((3,), math.log(4), dtype=torch.float64))


def test_the_count_adds_the_weights_of_the_real_targets() -> None:
    target = torch.tensor([[0, 3], [-7, 2], [3, -7]])

    assert CrossEntropy().count(target) == 6
    assert float(CrossEntropy(ignore_index=-7).count(target)) == 4
    assert float(CrossEntropy(ignore_index=-7, weights=WEIGHTS).count(target)) == pytest.approx(3.1)
    assert float(CrossEntropy(ignore_index=3, weights=WEIGHTS).count(target[:1])) == 0.5


def test_ignored_targets_cost_nothing_and_pull_nowhere() -> None:
    prediction, target = scores(4, 4).requires_grad_(), torch.tensor([1, -1, 2, -1])
    loss = CrossEntropy(ignore_index=-1, label_smoothing=0.2, weights=WEIGHTS)
    cost = loss.forward(prediction, target)
    (pull,) = torch.autograd.grad(loss.mean(prediction, target), prediction)

    assert cost[1::2].tolist() == [0.0, 0.0]
    assert not pull[1::2].any()
    assert pull[::2].all()


def test_a_batch_without_real_targets_has_no_mean() -> None:
    loss, target = CrossEntropy(ignore_index=-1), torch.full((3,), -1)

    assert float(loss.count(target)) == 0
    assert loss.mean(scores(3, 4), target).isnan()
    assert loss.forward(scores(3, 4), target).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
@pytest.mark.parametrize("broken", [-100, -1, 4])
def test_a_label_that_is_no_class_is_never_ignored_in_silence(options: dict[str, Any], broken: int) -> None:
    loss, target = CrossEntropy(**options), torch.tensor([0, broken, 2])
    for cost in (loss.forward, loss.mean):
        with pytest.raises(IndexError):
            cost(scores(3, 4), target)


def test_minus_one_hundred_is_ignored_when_it_is_asked_for() -> None:
    loss, prediction, target = CrossEntropy(ignore_index=-100), scores(3, 4), torch.tensor([0, -100, 2])
    kept = torch.tensor([0, 2])

    assert torch.equal(loss.mean(prediction, target), nn.CrossEntropyLoss()(prediction[kept], target[kept]))


def test_too_few_weights_are_refused() -> None:
    with pytest.raises(Problem) as refused:
        CrossEntropy(weights=(1.0, 2.0)).mean(scores(3, 4), labels(None, 3))

    assert refused.value.code == "loss-weights"
    assert refused.value.exit_code == 2
    assert refused.value.what == "`cross_entropy` has 2 weights, its prediction 4 classes"


def test_probabilities_cannot_be_ignored() -> None:
    with pytest.raises(Problem) as refused:
        CrossEntropy(ignore_index=-1).mean(scores(3, 4), scores(3, 4).softmax(dim=1))

    assert refused.value.code == "ignored-probabilities"
    assert refused.value.exit_code == 2
    assert "-1" in refused.value.what
