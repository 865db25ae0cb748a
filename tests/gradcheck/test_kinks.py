"""The discrete choices on the way through a function, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gradtrain.gradcheck.kinks import flips, traced

TURNING: dict[str, tuple[Callable[[Tensor], Any], list[float], list[float]]] = {
    "relu": (F.relu, [-0.1, 1.0], [0.1, 1.0]),
    "abs": (torch.abs, [-0.1], [0.1]),
    "leaky relu": (F.leaky_relu, [-0.1], [0.1]),
    "prelu": (lambda x: F.prelu(x, torch.full((1,), 0.2, dtype=x.dtype)), [-0.1], [0.1]),
    "elu": (F.elu, [-0.1], [0.1]),
    "clamp": (lambda x: x.clamp(-1, 1), [0.9], [1.1]),
    "clamp at the lower end": (lambda x: x.clamp(-1, 1), [-0.9], [-1.1]),
    "clamp from above": (lambda x: x.clamp(max=2), [1.9], [2.1]),
    "clamp from below": (lambda x: x.clamp(min=2), [1.9], [2.1]),
    "hardtanh": (F.hardtanh, [0.9], [1.1]),
    "relu6": (F.relu6, [5.9], [6.1]),
    "hardswish": (F.hardswish, [2.9], [3.1]),
    "hardsigmoid": (F.hardsigmoid, [-3.1], [-2.9]),
    "softshrink": (lambda x: F.softshrink(x, 0.3), [0.2], [0.4]),
    "hardshrink": (lambda x: F.hardshrink(x, 0.3), [-0.2], [-0.4]),
    "threshold": (lambda x: F.threshold(x, 0.5, 0.0), [0.4], [0.6]),
    "maximum": (lambda x: torch.maximum(x[:1], x[1:]), [0.0, 0.1], [0.1, 0.0]),
    "max over an axis": (lambda x: x.max(0).values, [0.0, 0.1], [0.1, 0.0]),
    "max of all": (lambda x: x.amax(), [0.0, 0.1], [0.1, 0.0]),
    "sort": (lambda x: x.sort().values, [0.0, 0.1], [0.1, 0.0]),
    "top k": (lambda x: x.topk(1).values, [0.0, 0.1], [0.1, 0.0]),
    "median": (lambda x: x.median(0).values, [0.0, 0.1, 0.2], [0.1, 0.0, 0.2]),
    "pool": (lambda x: F.max_pool1d(x.view(1, 1, -1), 2), [0.0, 0.1], [0.1, 0.0]),
    "comparison": (lambda x: torch.where(x > 0.5, x, 2 * x), [0.4], [0.6]),
    "round": (torch.round, [0.4], [0.6]),
    "round to a decimal": (lambda x: x.round(decimals=1), [0.14], [0.16]),
    "trunc": (torch.trunc, [0.9], [1.1]),
    "ceil": (torch.ceil, [0.9], [1.1]),
    "remainder": (lambda x: x % 0.7, [0.6], [0.8]),
    "floor": (torch.floor, [0.9], [1.1]),
    "huber": (lambda x: F.huber_loss(x, torch.zeros_like(x), delta=0.3), [0.2], [0.4]),
    "smooth l1": (lambda x: F.smooth_l1_loss(x, torch.zeros_like(x), beta=0.3), [0.2], [0.4]),
    "l1": (lambda x: F.l1_loss(x, torch.zeros_like(x)), [-0.2], [0.4]),
    "margin": (lambda x: F.multi_margin_loss(x[None], torch.tensor([0])), [1.0, 0.1], [1.0, -0.1]),
    "distances": (lambda x: torch.cdist(x[:1, None], x[1:, None], 1), [0.0, 0.1], [0.1, 0.0]),
    "distances of pairs": (lambda x: F.pdist(x[:, None], 1), [0.0, 0.1], [0.1, 0.0]),
    "a sum of magnitudes": (lambda x: x.norm(1), [0.1, 0.2], [0.1, -0.2]),
    "a distance": (lambda x: torch.dist(x[:1], x[1:], 1), [0.0, 0.1], [0.1, 0.0]),
    "index by a mask": (lambda x: x[x > 0].sum(), [0.1, -0.1], [0.1, 0.1]),
}


def at(function: Callable[[Tensor], Any], values: list[float]) -> Any:
    return traced(lambda: function(torch.tensor(values, dtype=torch.float64)))


@pytest.mark.parametrize("name", TURNING)
def test_a_unit_on_its_other_side_is_seen(name: str) -> None:
    function, one, two = TURNING[name]
    assert flips(at(function, one), at(function, two)) != {}
    near = [value * (1 + 1e-9) for value in one]
    assert flips(at(function, one), at(function, near)) == {}


def test_a_euclidean_norm_does_not_turn_where_a_number_changes_its_sign() -> None:
    assert flips(at(torch.norm, [0.1, 0.2]), at(torch.norm, [0.1, -0.2])) == {}


def test_rounding_does_not_turn_at_whole_numbers() -> None:
    assert flips(at(torch.round, [1.99]), at(torch.round, [2.01])) == {}


def test_every_unit_is_counted_under_its_operator() -> None:
    one, two = at(F.relu, [-1.0, -1.0, 1.0]), at(F.relu, [1.0, 1.0, 1.0])
    assert flips(one, two) == {"relu": 2}


def test_another_path_through_the_code_is_no_comparison() -> None:
    def forks(x: Tensor) -> Tensor:
        return F.relu(x) if bool(x.sum() > 0) else x.abs()

    assert flips(at(forks, [1.0]), at(forks, [-1.0])) is None


def test_casts_in_the_order_met() -> None:
    trace = at(lambda x: x.float().half().double() + x.sum(dtype=torch.float32), [1.0])
    assert trace.casts == ["float64 → float32", "float32 → float16", "float64 → float32"]
    assert at(lambda x: x.sin().double(), [1.0]).casts == []
    assert traced(lambda: torch.ones(2).double()).casts == []


def test_numbers_that_are_compared_with() -> None:
    trace = at(lambda x: torch.where(x > 0.5, x.clamp_min(-3.0), x) * (x < torch.tensor(7.0)), [1.0])
    assert set(trace.thresholds) == {0.5, -3.0, 7.0}


def test_labels_that_are_left_out() -> None:
    trace = traced(lambda: F.cross_entropy(torch.rand(2, 3), torch.tensor([0, -7]), ignore_index=-7))
    assert -7 in trace.labels
    assert traced(lambda: torch.arange(3) != 2).labels == [2]


def test_a_backward_pass_is_traced_too() -> None:
    class Clips(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return g * (ctx.saved_tensors[0] < 0.25)

    x = torch.ones(2, requires_grad=True)
    trace = traced(lambda: torch.autograd.grad(Clips.apply(x).sum(), x), grad=True)
    assert trace.thresholds == [0.25]


def test_autograd_is_as_it_was_after_a_trace() -> None:
    for grad in (True, False):
        traced(lambda: torch.ones(1), grad=grad)
        assert torch.is_grad_enabled()
