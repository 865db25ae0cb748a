"""Losses that are minus a log-likelihood, against torch's losses and torch's distributions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, Poisson

from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.losses.gaussian_nll import GaussianNll
from gradtrain.components.losses.nll import Nll
from gradtrain.components.losses.poisson_nll import PoissonNll
from gradtrain.problems import Problem


def draw(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    "options",
    [{}, {"weights": (0.5, 1.0, 2.0)}, {"ignore_index": 1}, {"ignore_index": -1, "weights": (0.5, 1.0, 2.0)}],
    ids=str,
)
@pytest.mark.parametrize("extra", [(), (4,)], ids=str)
def test_nll_behind_log_softmax_is_cross_entropy(options: dict[str, Any], extra: tuple[int, ...]) -> None:
    prediction = draw(6, 3, *extra)
    target = torch.randint(0, 3, (6, *extra), generator=torch.Generator().manual_seed(3))
    target.view(-1)[0] = options.get("ignore_index", 0)
    ours, theirs = Nll(**options), CrossEntropy(**options)

    torch.testing.assert_close(ours.forward(prediction.log_softmax(1), target), theirs.forward(prediction, target))
    torch.testing.assert_close(ours.mean(prediction.log_softmax(1), target), theirs.mean(prediction, target))
    assert float(ours.count(target)) == float(theirs.count(target))


def test_no_label_is_ignored_unless_it_is_named() -> None:
    with pytest.raises(IndexError):
        Nll().mean(draw(2, 3).log_softmax(1), torch.tensor([0, -100]))


def test_nll_refuses_weights_that_do_not_fit() -> None:
    with pytest.raises(Problem, match="`nll` has 2 weights, its prediction 3 classes"):
        Nll(weights=(1.0, 2.0)).forward(torch.zeros(2, 3), torch.tensor([0, 1]))


def test_gaussian_is_the_likelihood_of_a_normal_distribution() -> None:
    prediction, target = draw(5, 2, 3), draw(5, 3, seed=4)
    mean, s = prediction.unbind(1)
    likelihood = Normal(mean, (s / 2).exp()).log_prob(target)

    torch.testing.assert_close(GaussianNll(full=True).forward(prediction, target), -likelihood)
    short = GaussianNll().forward(prediction, target)
    torch.testing.assert_close(short, F.gaussian_nll_loss(mean, target, s.exp(), reduction="none"))
    torch.testing.assert_close(short, -likelihood - math.log(2 * math.pi) / 2)


def test_mean_and_variance_may_stand_side_by_side() -> None:
    stacked, target = draw(5, 2, 3), draw(5, 3, seed=4)
    beside = torch.cat([stacked[:, 0], stacked[:, 1]], dim=1)

    torch.testing.assert_close(GaussianNll().forward(beside, target), GaussianNll().forward(stacked, target))


def test_gaussian_is_cheapest_at_the_variance_that_is_there() -> None:
    target = 3 * draw(4000, 1)
    s = torch.linspace(1, 3.5, 251, dtype=torch.float64)
    costs = torch.stack(
        [GaussianNll().mean(torch.stack([torch.zeros_like(target), target * 0 + x], 1), target) for x in s]
    )

    assert s[costs.argmin()].exp().item() == pytest.approx(target.square().mean().item(), rel=0.01)


@pytest.mark.parametrize("shape", [(5, 1), (5, 3), (5, 2, 2)], ids=str)
def test_gaussian_refuses_any_other_number_of_outputs(shape: tuple[int, ...]) -> None:
    with pytest.raises(Problem, match=r"for a target \[5, 1\]") as refused:
        GaussianNll().forward(torch.zeros(shape), torch.zeros(5, 1))
    assert (refused.value.code, refused.value.exit_code) == ("loss-shape", 2)


def test_gaussian_tells_the_shapes_that_a_network_may_put_out() -> None:
    for shape in GaussianNll().outputs(3):
        assert GaussianNll().forward(torch.zeros(4, *shape), torch.zeros(4, 3)).shape == (4, 3)


@pytest.mark.parametrize("full", [False, True])
def test_poisson_is_the_likelihood_of_a_poisson_distribution(full: bool) -> None:
    log_rate = draw(6, 2)
    counts = torch.tensor([[0.0, 1.0], [2.0, 5.0], [0.0, 0.0], [9.0, 3.0], [1.0, 1.0], [20.0, 4.0]]).double()
    likelihood = Poisson(log_rate.exp()).log_prob(counts)
    wanted = -likelihood - (0 if full else torch.lgamma(counts + 1))

    torch.testing.assert_close(PoissonNll(full=full).forward(log_rate, counts), wanted)
    as_rate = PoissonNll(full=full, prediction_as="rate")
    torch.testing.assert_close(as_rate.forward(log_rate.exp(), counts), wanted)


def test_poisson_is_cheapest_at_the_mean_count() -> None:
    counts = torch.tensor([[0.0], [3.0], [1.0], [4.0]])
    log_rate = torch.full((4, 1), 2.0).log().requires_grad_()
    (slope,) = torch.autograd.grad(PoissonNll().mean(log_rate, counts), log_rate)

    assert slope.sum().item() == pytest.approx(0, abs=1e-6)
