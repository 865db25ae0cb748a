"""Gradients in low precision: a formula that loses digits there is told from one that is ill-conditioned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradtrain
from gradtrain.gradcheck.report import Report


def draw(*shape: int, offset: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return offset + torch.randn(shape, generator=generator, dtype=torch.float64)


def in_float32(report: Report) -> str:
    (found,) = {finding.verdict for finding in report.findings if finding.check == "float32 gradient"}
    return found


def naive_variance(x: Tensor) -> Tensor:
    return 1 / ((x * x).mean(-1) - x.mean(-1) ** 2 + 1e-5).sqrt()


def variance(x: Tensor) -> Tensor:
    return 1 / (x.var(-1, unbiased=False) + 1e-5).sqrt()


def test_a_variance_as_a_difference_of_large_numbers_is_refused_and_the_stable_one_is_not() -> None:
    x = draw(4, 64, offset=1000.0)
    assert in_float32(gradtrain.gradcheck(naive_variance, x)) == "precision"
    assert in_float32(gradtrain.gradcheck(variance, x)) == "pass"


@pytest.mark.parametrize(
    "function",
    [torch.sin, torch.tanh, torch.logsumexp, torch.softmax, lambda x, d: nn.functional.layer_norm(x, x.shape[1:])],
)
def test_healthy_functions_pass(function: Callable[..., Any]) -> None:
    inputs = (draw(3, 5),) if function in (torch.sin, torch.tanh) else (draw(3, 5), 1)
    assert in_float32(gradtrain.gradcheck(function, *inputs)) == "pass"


def test_a_function_that_is_ill_conditioned_itself_is_not_blamed() -> None:
    x = torch.tensor([1e4, 2e4, -3e4], dtype=torch.float64)
    assert in_float32(gradtrain.gradcheck(torch.sin, x)) == "pass"


def test_half_precisions_are_reported_and_never_a_refusal() -> None:
    report = gradtrain.gradcheck(nn.Sequential(nn.Linear(5, 4), nn.Tanh()), draw(3, 5).float())
    checks = {finding.check: finding for finding in report.findings}
    assert report.ok
    assert checks["bfloat16 gradient"].verdict == "pass"
    assert "units of the last place" in checks["bfloat16 gradient"].note


def test_a_module_keeps_its_own_precision() -> None:
    net = nn.Linear(5, 4).bfloat16()
    before = net.weight.detach().clone()
    gradtrain.gradcheck(net, draw(3, 5).bfloat16())
    assert net.weight.dtype == torch.bfloat16
    assert torch.equal(net.weight.detach(), before)


def test_what_float32_cannot_hold_is_not_looked_at_in_float32() -> None:
    for factor in (1e-100, 1e100):
        report = gradtrain.gradcheck(lambda x, factor=factor: factor * x.sin(), draw(4))
        assert report.ok
        assert "float32 gradient" not in {finding.check for finding in report.findings}
