"""Every metric there is: the whole split's value however the batches fall."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics import Metric, Value
from gradtrain.components.metrics.calibration import Calibration
from gradtrain.registry import find, names

FACTS = {"class": Facts(classes=4), "multilabel": Facts(outputs=3)}
CASES = [
    (name, case, kind)
    for name in names(Metric)
    if name != "loss"
    for case in find(Metric, name).cases
    for kind in find(Metric, name).kinds
]
IDS = [f"{name}-{case}-{kind}" for name, case, kind in CASES]


def over(metric: Metric, kind: str, prediction: Tensor, target: Tensor, sizes: list[int] | None = None) -> Value:
    """The metric over batches of these sizes."""
    measured = metric.start(kind, FACTS.get(kind, Facts(classes=2, outputs=1)))
    sizes = sizes or [len(target)]
    for p, t in zip(prediction.split(sizes), target.split(sizes), strict=True):
        measured.add(p, t)
    return measured.value()


def numbers(value: Value) -> list[float]:
    return torch.tensor(value, dtype=torch.float64).flatten().tolist()


def drawn(kind: str, count: int = 41) -> tuple[Tensor, Tensor]:
    """Scores and targets of one kind, better than chance."""
    draw = torch.Generator().manual_seed(3)
    if kind == "class":
        target = torch.randint(0, 4, (count,), generator=draw)
        return torch.randn(count, 4, generator=draw) + 2 * torch.nn.functional.one_hot(target, 4), target
    width = 3 if kind == "multilabel" else 1
    bits = torch.randint(0, 2, (count, width), generator=draw).float()
    prediction = torch.randn(count, width, generator=draw) + 2 * bits - 1
    if kind == "value":
        return prediction, prediction + torch.randn(count, width, generator=draw)
    return prediction, 2 * bits - 1 if kind == "pm1" else bits


@pytest.mark.parametrize(("name", "case", "kind"), CASES, ids=IDS)
def test_unequal_batches_give_the_whole_splits_value(name, case, kind) -> None:
    prediction, target = drawn(kind)
    metric = find(Metric, name)(**case)
    whole = numbers(over(metric, kind, prediction, target))
    for sizes in ([40, 1], [1, 40], [7, 13, 21], [1] * 41):
        assert numbers(over(metric, kind, prediction, target, sizes)) == pytest.approx(whole, rel=1e-9)
    shuffled = torch.randperm(41, generator=torch.Generator().manual_seed(0))
    again = over(metric, kind, prediction[shuffled], target[shuffled], [10, 31])
    assert numbers(again) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize(("name", "case", "kind"), CASES, ids=IDS)
def test_a_fresh_start_forgets(name, case, kind) -> None:
    prediction, target = drawn(kind)
    metric = find(Metric, name)(**case)
    first = over(metric, kind, prediction, target)
    over(metric, kind, -prediction, target)
    assert over(metric, kind, prediction, target) == first


@pytest.mark.parametrize(("name", "case", "kind"), CASES, ids=IDS)
def test_no_sample_at_all_is_not_a_number(name, case, kind) -> None:
    value = find(Metric, name)(**case).start(kind, FACTS.get(kind, Facts(classes=2, outputs=1))).value()
    assert bool(torch.tensor(value).isnan().all())


def test_calibration_by_hand() -> None:
    """Answers with confidence 0.9 (right in 3 of 4) and 0.6 (right in 1 of 2): (4 · 0.15 + 2 · 0.1) / 6."""
    high, low = math.log(0.9 / 0.1), math.log(0.6 / 0.4)
    scores = torch.tensor([[high, 0.0]] * 4 + [[0.0, low]] * 2, dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 1, 0])
    assert over(Calibration(), "class", scores, labels, [5, 1]) == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
