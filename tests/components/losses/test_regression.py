"""Losses of values and of vectors: their conventions, and their kin in torch and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from gradtrain.components.losses.contrastive import Contrastive
from gradtrain.components.losses.cosine import Cosine
from gradtrain.components.losses.huber import Huber
from gradtrain.components.losses.kl_divergence import KlDivergence
from gradtrain.components.losses.log_cosh import LogCosh
from gradtrain.components.losses.mae import Mae
from gradtrain.components.losses.quantile import Quantile
from gradtrain.components.losses.smooth_l1 import SmoothL1


def draw(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_log_cosh_is_what_its_name_says_and_far_away_the_absolute_error() -> None:
    r = draw(20, 1)
    nothing = torch.zeros_like(r)
    torch.testing.assert_close(LogCosh().forward(r, nothing), r.cosh().log())

    far = torch.tensor([[-1000.0], [1000.0]], requires_grad=True)
    cost = LogCosh().forward(far, torch.zeros(2, 1))
    (slope,) = torch.autograd.grad(cost.sum(), far)
    assert cost.flatten().tolist() == pytest.approx([1000 - math.log(2)] * 2)
    assert slope.flatten().tolist() == [-1, 1]


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_the_best_constant_is_the_quantile(quantile: float) -> None:
    target = draw(1001, 1)
    places = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    costs = torch.stack([Quantile(quantile=quantile).mean(torch.full_like(target, x), target) for x in places.tolist()])

    assert places[costs.argmin()].item() == pytest.approx(np.quantile(target.numpy(), quantile), abs=0.01)


def test_a_median_is_half_the_absolute_error() -> None:
    prediction, target = draw(5, 2), draw(5, 2, seed=3)
    torch.testing.assert_close(Quantile().forward(prediction, target), Mae().forward(prediction, target) / 2)


def test_too_low_costs_more_for_a_high_quantile() -> None:
    low, high = torch.tensor([[-1.0]]), torch.tensor([[1.0]])
    loss = Quantile(quantile=0.9)

    assert loss.forward(low, torch.zeros(1, 1)).item() == pytest.approx(0.9)
    assert loss.forward(high, torch.zeros(1, 1)).item() == pytest.approx(0.1)


def test_an_exact_prediction_is_left_alone_by_the_quantile_loss() -> None:
    x = torch.zeros(1, 1, requires_grad=True)
    (slope,) = torch.autograd.grad(Quantile(quantile=0.9).mean(x, torch.zeros(1, 1)), x)

    assert slope.item() == 0


@pytest.mark.parametrize("beta", [0.2, 1.0, 3.0])
def test_smooth_l1_is_huber_over_beta(beta: float) -> None:
    prediction, target = 3 * draw(9, 2), draw(9, 2, seed=3)
    ours = SmoothL1(beta=beta).forward(prediction, target)

    torch.testing.assert_close(ours, Huber(delta=beta).forward(prediction, target) / beta)
    torch.testing.assert_close(ours, F.smooth_l1_loss(prediction, target, beta=beta, reduction="none"))


def test_the_cosine_distance_is_torchs() -> None:
    prediction, target = draw(6, 4), draw(6, 4, seed=3)
    same = torch.ones(6)

    torch.testing.assert_close(Cosine().mean(prediction, target), F.cosine_embedding_loss(prediction, target, same))
    theirs = 1 - F.cosine_similarity(prediction, target, dim=1)
    torch.testing.assert_close(Cosine().forward(prediction, target), theirs)


def test_the_cosine_distance_knows_direction_only() -> None:
    x, y = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 0.5]])

    assert Cosine().forward(x, 7 * x).item() == pytest.approx(0)
    assert Cosine().forward(x, y).item() == pytest.approx(1)
    assert Cosine().forward(x, -x).item() == pytest.approx(2)


@pytest.mark.parametrize(("same_label", "same", "different"), [(1, 1.0, 0.0), (0, 0.0, 1.0)])
def test_same_pairs_are_pulled_and_different_ones_pushed(same_label: int, same: float, different: float) -> None:
    loss = Contrastive(same_label=same_label, margin=2.0)  # type: ignore[arg-type]
    d = torch.tensor([[0.5], [0.5], [3.0]], requires_grad=True)
    cost = loss.forward(d, torch.tensor([[same], [different], [different]]))
    (slope,) = torch.autograd.grad(cost.sum(), d)

    assert cost.flatten().tolist() == pytest.approx([0.125, 1.125, 0])
    assert slope.flatten().tolist() == pytest.approx([0.5, -1.5, 0])


def test_what_same_means_must_be_said() -> None:
    with pytest.raises(ValidationError, match="same_label"):
        Contrastive(margin=1.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("extra", [(), (3,)], ids=str)
def test_the_divergence_is_torchs_batch_mean(extra: tuple[int, ...]) -> None:
    student, teacher = draw(6, 4, *extra), draw(6, 4, *extra, seed=3)
    p, q = student.log_softmax(1), teacher.softmax(1)
    theirs = F.kl_div(p, q, reduction="batchmean") / math.prod(extra)

    torch.testing.assert_close(KlDivergence().mean(student, teacher), theirs)
    torch.testing.assert_close(KlDivergence(target_as="probabilities").mean(p, q), theirs)


def test_distillation_as_the_paper_has_it() -> None:
    student, teacher, t = draw(6, 4).requires_grad_(), draw(6, 4, seed=3), 10.0
    soft = -((teacher / t).softmax(1) * (student / t).log_softmax(1)).sum(1).mean() * t**2
    (theirs,) = torch.autograd.grad(soft, student)
    (ours,) = torch.autograd.grad(KlDivergence(temperature=t).mean(student, teacher), student)

    torch.testing.assert_close(ours, theirs)


def test_a_high_temperature_matches_centred_scores() -> None:
    """Hinton, Vinyals & Dean, equation 4: T² times the gradient tends to the difference of scores over classes."""
    student, teacher = draw(1, 4).requires_grad_(), draw(1, 4, seed=3)
    (slope,) = torch.autograd.grad(KlDivergence(temperature=1e4).mean(student, teacher), student)
    centred = (student - student.mean()) - (teacher - teacher.mean())

    torch.testing.assert_close(slope, centred.detach() / 4, rtol=1e-3, atol=1e-4)


def test_softened_probabilities_are_softened_scores() -> None:
    student, teacher = draw(6, 4), draw(6, 4, seed=3)
    of_scores = KlDivergence(temperature=3.0).forward(student, teacher)

    told = KlDivergence(temperature=3.0, target_as="probabilities").forward(student, teacher.softmax(1))
    torch.testing.assert_close(told, of_scores)


def test_a_certain_target_costs_what_cross_entropy_says() -> None:
    prediction, label = draw(5, 3), torch.tensor([0, 2, 1, 1, 0])
    certain = F.one_hot(label, 3).double()

    for temperature in (1.0, 2.0):
        loss = KlDivergence(target_as="probabilities", temperature=temperature, scale_t2=False)
        theirs = F.cross_entropy(prediction / temperature, label, reduction="none")
        torch.testing.assert_close(loss.forward(prediction, certain), theirs)
