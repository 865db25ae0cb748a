"""Samplers are led along torch's own derivative: what is made of their numbers is proven, the rest said."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Beta, Dirichlet, Gamma, StudentT

import gradtrain
from gradtrain.gradcheck.sampled import Following

A = torch.tensor([0.7, 1.5, 4.0], dtype=torch.float64)


@pytest.mark.parametrize("sampled", [
    lambda a: Gamma(a, 2 * a).rsample(), lambda a: Beta(a, a + 1).rsample(), lambda a: Dirichlet(a).rsample(),
    lambda a: StudentT(a + 2).rsample(), lambda a: Gamma(a, a).rsample() * Gamma(a + 1, a).rsample(),
], ids=["gamma", "beta", "dirichlet", "student t", "two draws"])  # fmt: skip
def test_torchs_samplers_are_accepted_and_their_trust_is_said(sampled) -> None:
    report = gradtrain.gradcheck(sampled, A)
    assert not report.failures
    assert any(f.check == "sampler" and "is trusted" in f.note for f in report.findings)


def test_what_is_drawn_follows_torchs_own_derivative() -> None:
    a, step = A.clone().requires_grad_(), 1e-4 * torch.ones_like(A)
    following = Following()
    with following:
        first = torch._standard_gamma(a)
    (slope,) = torch.autograd.grad(first.sum(), a)
    with following, torch.no_grad():
        moved = torch._standard_gamma(a + step)
    torch.testing.assert_close(moved, first.detach() + slope * step, rtol=1e-14, atol=0)


def test_functions_without_such_a_sampler_say_nothing_of_one() -> None:
    report = gradtrain.gradcheck(lambda x: x * torch.rand_like(x), A)
    assert not any(finding.check == "sampler" for finding in report.findings)
