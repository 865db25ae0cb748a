"""Metrics that torchmetrics measures, against counts and pairs in plain loops."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import product

import pytest
import torch

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Metric, Value
from gradtrain.components.metrics.auroc import Auroc
from gradtrain.components.metrics.calibration import Calibration
from gradtrain.components.metrics.confusion import Confusion
from gradtrain.components.metrics.f1 import F1
from gradtrain.components.metrics.macro_f1 import MacroF1
from gradtrain.components.metrics.precision import Precision
from gradtrain.components.metrics.recall import Recall
from gradtrain.problems import Problem

MEASURED = [Auroc, Calibration, Confusion, F1, MacroF1, Precision, Recall]
CUTS = [[60], [1, 59], [32, 28]]


def value(
    metric: Metric, prediction: torch.Tensor, target: torch.Tensor, kind: str, cut: list[int] | None = None
) -> Value:
    accumulator = metric.start(kind, Facts())
    for p, t in zip(prediction.split(cut or [60]), target.split(cut or [60]), strict=True):
        accumulator.add(p, t)
    return accumulator.value()


def scores(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(3))


def labels(classes: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(4))


def counts(answers: list[int], truth: list[int], k: int) -> tuple[int, int, int]:
    """(true positives, false positives, false negatives) of one class."""
    pairs = list(zip(answers, truth, strict=True))
    return pairs.count((k, k)), sum(a == k != t for a, t in pairs), sum(t == k != a for a, t in pairs)


def f1(tp: int, fp: int, fn: int) -> float:
    return 2 * tp / (2 * tp + fp + fn)


def area(positive: list[float], negative: list[float]) -> float:
    """The share of pairs in the right order; a tie counts half."""
    pairs = list(product(positive, negative))
    return sum((p > n) + 0.5 * (p == n) for p, n in pairs) / len(pairs)


@pytest.mark.parametrize("cut", CUTS)
def test_classes(cut) -> None:
    prediction, target = scores(60, 3), labels(3, 60)
    answers, truth = prediction.argmax(1).tolist(), target.tolist()
    each = [counts(answers, truth, k) for k in range(3)]

    def measured(metric: Metric) -> Value:
        return value(metric, prediction, target, "class", cut)

    assert measured(MacroF1()) == pytest.approx(sum(f1(*c) for c in each) / 3)
    assert measured(F1()) == pytest.approx(sum(a == t for a, t in zip(answers, truth, strict=True)) / 60)
    assert measured(Precision()) == pytest.approx(sum(tp / (tp + fp) for tp, fp, _ in each) / 3)
    assert measured(Recall()) == pytest.approx(sum(tp / (tp + fn) for tp, _, fn in each) / 3)
    pairs = list(zip(truth, answers, strict=True))
    assert measured(Confusion()) == [[pairs.count((i, j)) for j in range(3)] for i in range(3)]
    chances = prediction.double().softmax(1)
    areas = [area(chances[target == k, k].tolist(), chances[target != k, k].tolist()) for k in range(3)]
    assert measured(Auroc()) == pytest.approx(sum(areas) / 3)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", ["binary", "pm1"])
def test_two_sides(cut, kind) -> None:
    prediction, yes = scores(60, 1), labels(2, 60, 1)
    target = yes.float() if kind == "binary" else 2 * yes.float() - 1
    answers, truth = (prediction > 0).long().flatten().tolist(), yes.flatten().tolist()
    tp, fp, fn = counts(answers, truth, 1)

    def measured(metric: Metric) -> Value:
        return value(metric, prediction, target, kind, cut)

    assert measured(F1()) == pytest.approx(f1(tp, fp, fn))
    assert measured(MacroF1()) == pytest.approx((f1(tp, fp, fn) + f1(*counts(answers, truth, 0))) / 2)
    assert measured(Precision()) == pytest.approx(tp / (tp + fp))
    assert measured(Recall()) == pytest.approx(tp / (tp + fn))
    assert measured(Confusion()) == [[60 - tp - fp - fn, fp], [fn, tp]]
    assert measured(Auroc()) == pytest.approx(area(prediction[yes == 1].tolist(), prediction[yes == 0].tolist()))


@pytest.mark.parametrize("cut", CUTS)
def test_several_labels(cut) -> None:
    prediction, target = scores(60, 3), labels(2, 60, 3).float()
    answers, truth = (prediction > 0).long(), target.long()
    each = [counts(answers[:, k].tolist(), truth[:, k].tolist(), 1) for k in range(3)]
    together = [sum(column) for column in zip(*each, strict=True)]

    def measured(metric: Metric) -> Value:
        return value(metric, prediction, target, "multilabel", cut)

    assert measured(MacroF1()) == pytest.approx(sum(f1(*c) for c in each) / 3)
    assert measured(F1()) == pytest.approx(f1(*together))
    assert measured(Precision()) == pytest.approx(sum(tp / (tp + fp) for tp, fp, _ in each) / 3)
    assert measured(Recall()) == pytest.approx(sum(tp / (tp + fn) for tp, _, fn in each) / 3)
    areas = [area(prediction[truth[:, k] == 1, k].tolist(), prediction[truth[:, k] == 0, k].tolist()) for k in range(3)]
    assert measured(Auroc()) == pytest.approx(sum(areas) / 3)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", ["class", "binary"])
def test_calibration_in_fifteen_bins(cut, kind) -> None:
    if kind == "class":
        prediction, target = scores(60, 3), labels(3, 60)
        confidence, answer = prediction.double().softmax(1).max(1)
        right = (answer == target).double()
    else:
        prediction, target = scores(60, 1), labels(2, 60, 1)
        confidence, right = prediction.double().sigmoid().flatten(), target.double().flatten()
    error = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            error += inside.double().mean().item() * abs(right[inside].mean() - confidence[inside].mean()).item()
    assert value(Calibration(), prediction, target, kind, cut) == pytest.approx(error)


def test_a_class_that_does_not_occur_is_left_out_of_the_area() -> None:
    prediction, target = scores(60, 3), labels(2, 60)
    areas = [
        area(*(prediction.double().softmax(1)[chosen, k].tolist() for chosen in (target == k, target != k)))
        for k in (0, 1)
    ]
    assert value(Auroc(), prediction, target, "class") == pytest.approx(sum(areas) / 2)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_no_area_without_two_sides(kind, answer) -> None:
    target = torch.full((60, 1), answer)
    assert math.isnan(value(Auroc(), scores(60, 1), target, kind))


@pytest.mark.parametrize("metric", [Auroc, F1, MacroF1, Precision, Recall], ids=lambda m: m.name())
def test_one_label_of_several_is_scored_like_an_answer(metric) -> None:
    prediction, target = scores(60, 1), labels(2, 60, 1).float()
    same = F1 if metric is MacroF1 else metric  # the mean over a single label
    assert value(metric(), prediction, target, "multilabel") == value(same(), prediction, target, "binary")


def test_scores_that_saturate_keep_their_order() -> None:
    """Float32 rounds the sigmoid of 17 and of 30 to 1; the order of the scores decides all the same."""
    prediction, target = torch.tensor([[30.0], [17.0], [20.0], [25.0]]), torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    assert value(Auroc(), prediction, target, "binary", [4]) == 1.0


def test_every_pass_starts_anew() -> None:
    metric, prediction, target = Confusion(), scores(60, 3), labels(3, 60)
    assert value(metric, prediction, target, "class") == value(metric, prediction, target, "class")


@pytest.mark.parametrize(
    ("metric", "kind"), [pytest.param(m, k, id=f"{m.name()}-{k}") for m in MEASURED for k in m.kinds]
)
def test_predictions_that_are_no_numbers_have_no_score(metric, kind) -> None:
    width = 1 if kind in ("binary", "pm1") else 3
    prediction = scores(60, width)
    prediction[7, 0] = torch.nan
    target = labels(3, 60) if kind == "class" else labels(2, 60, width).float()
    assert math.isnan(value(metric(), prediction, target, kind))
    assert math.isnan(metric().start(kind, Facts()).value())


@pytest.mark.parametrize("metric", MEASURED, ids=lambda m: m.name())
def test_a_missing_extra_says_what_to_paste(metric, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(Problem) as caught:
        metric().start("class", Facts())
    assert (caught.value.code, caught.value.exit_code) == ("extra-missing", 2)
    assert caught.value.help == 'pip install "gradtrain[metrics]"'
    assert f"`{metric.name()}`" in caught.value.what


def test_torchmetrics_is_imported_only_when_asked_for() -> None:
    script = "import sys; from gradtrain.components.metrics.auroc import Auroc; Auroc(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "gradtrain.components.metrics.auroc" in modules
    assert not {"torch", "torchmetrics"} & set(modules)
