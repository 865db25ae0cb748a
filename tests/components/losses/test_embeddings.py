"""Losses over embeddings and labels: triplets and neighbours, against torch and a search by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gradtrain.components.losses import Loss
from gradtrain.components.losses.info_nce import InfoNce
from gradtrain.components.losses.triplet import Triplet
from gradtrain.problems import Problem

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3])


def embeddings(count: int = 7, width: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distance(x: Tensor, y: Tensor, how: str) -> float:
    if how == "cosine":
        return 1 - F.cosine_similarity(x, y, dim=0).item()
    apart = (x - y).norm().item()
    return apart**2 if how == "squared" else apart


def triplets(labels: Tensor) -> list[tuple[int, int, int]]:
    places = range(len(labels))
    return [
        (a, p, n)
        for a, p, n in itertools.product(places, places, places)
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ]


@pytest.mark.parametrize("how", ["euclidean", "squared", "cosine"])
def test_batch_all_is_the_mean_over_every_triplet(how: Any) -> None:
    x = embeddings()
    costs = [max(0.0, 0.5 + distance(x[a], x[p], how) - distance(x[a], x[n], how)) for a, p, n in triplets(LABELS)]
    loss = Triplet(mining="batch_all", margin=0.5, distance=how)

    assert len(costs) == float(loss.count(LABELS)) == 3 * 2 * 4 + 2 * 1 * 5
    assert loss.mean(x, LABELS).item() == pytest.approx(sum(costs) / len(costs), rel=1e-12)


def test_batch_all_is_torchs_loss_of_the_triplets_by_hand() -> None:
    x, found = embeddings(), torch.tensor(triplets(LABELS))
    theirs = F.triplet_margin_loss(x[found[:, 0]], x[found[:, 1]], x[found[:, 2]], margin=1.0, eps=0.0)

    torch.testing.assert_close(Triplet(mining="batch_all", margin=1.0).mean(x, LABELS), theirs)


@pytest.mark.parametrize("how", ["euclidean", "squared", "cosine"])
def test_batch_hard_takes_the_farthest_friend_and_the_nearest_stranger(how: Any) -> None:
    x = embeddings()
    costs = []
    for anchor in (0, 1, 2, 4, 5):
        of_anchor = [(p, n) for a, p, n in triplets(LABELS) if a == anchor]
        farthest = max(distance(x[anchor], x[p], how) for p, _ in of_anchor)
        costs.append(max(0.0, 0.5 + farthest - min(distance(x[anchor], x[n], how) for _, n in of_anchor)))
    loss = Triplet(margin=0.5, distance=how)

    assert float(loss.count(LABELS)) == 5
    assert loss.mean(x, LABELS).item() == pytest.approx(sum(costs) / 5, rel=1e-12)
    assert loss.forward(x, LABELS)[[3, 6]].tolist() == [0, 0]


def test_supervised_contrastive_by_hand() -> None:
    x, t = embeddings(), 0.3
    u = F.normalize(x, dim=1)
    costs = []
    for anchor, friends in {0: (2, 5), 1: (4,), 2: (0, 5), 4: (1,), 5: (0, 2)}.items():
        others = [other for other in range(7) if other != anchor]
        logits = torch.stack([u[anchor] @ u[other] / t for other in others])
        each = [F.cross_entropy(logits, torch.tensor(others.index(friend))) for friend in friends]
        costs.append(sum(each).item() / len(each))
    loss = InfoNce(temperature=t)

    assert float(loss.count(LABELS)) == 5
    assert loss.mean(x, LABELS).item() == pytest.approx(sum(costs) / 5, rel=1e-12)


def test_two_views_make_it_nt_xent() -> None:
    x = embeddings(8)
    labels = torch.arange(4).repeat(2)
    u = F.normalize(x, dim=1)
    logits = (u @ u.T / 0.5).fill_diagonal_(-torch.inf)
    partner = (torch.arange(8) + 4) % 8

    torch.testing.assert_close(InfoNce(temperature=0.5).mean(x, labels), F.cross_entropy(logits, partner))


def test_the_length_of_an_embedding_matters_to_a_dot_product_only() -> None:
    x = embeddings()

    torch.testing.assert_close(InfoNce().mean(3 * x, LABELS), InfoNce().mean(x, LABELS))
    torch.testing.assert_close(
        InfoNce(similarity="dot", temperature=9.0).mean(3 * x, LABELS),
        InfoNce(similarity="dot", temperature=1.0).mean(x, LABELS),
    )


BOTH: list[Loss] = [Triplet(), Triplet(mining="batch_all"), Triplet(distance="cosine"), InfoNce()]


@pytest.mark.parametrize("loss", BOTH, ids=str)
@pytest.mark.parametrize("labels", [[0, 1, 2], [4]], ids=str)
def test_a_batch_without_partners_costs_nothing_and_pulls_nowhere(loss: Loss, labels: list[int]) -> None:
    x = embeddings(len(labels)).requires_grad_()
    cost = loss.mean(x, torch.tensor(labels))
    (slope,) = torch.autograd.grad(cost, x)

    assert cost.item() == 0
    assert slope.tolist() == torch.zeros_like(x).tolist()
    assert float(loss.count(torch.tensor(labels))) == 0


@pytest.mark.parametrize("loss", BOTH, ids=str)
def test_a_collapsed_network_has_a_finite_gradient(loss: Loss) -> None:
    x = torch.zeros(4, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(loss.mean(x, torch.tensor([0, 1, 0, 1])), x)

    assert slope.isfinite().all()


@pytest.mark.parametrize("loss", BOTH, ids=str)
def test_the_order_of_the_batch_does_not_matter(loss: Loss) -> None:
    x, order = embeddings(), torch.randperm(7, generator=torch.Generator().manual_seed(2))

    torch.testing.assert_close(loss.forward(x[order], LABELS[order]), loss.forward(x, LABELS)[order])
    torch.testing.assert_close(loss.mean(x[order], LABELS[order]), loss.mean(x, LABELS))


@pytest.mark.parametrize("loss", BOTH, ids=str)
def test_autocast_does_not_cost_the_similarities_their_digits(loss: Loss) -> None:
    x = embeddings().float()
    exact = loss.mean(x, LABELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(loss.mean(x, LABELS), exact)


@pytest.mark.parametrize("name", ["triplet", "info_nce"])
@pytest.mark.parametrize("shape", [(7, 4, 2), (7,), (6, 4)], ids=str)
def test_anything_but_one_vector_a_sample_is_refused(name: str, shape: tuple[int, ...]) -> None:
    loss: Loss = Triplet() if name == "triplet" else InfoNce()
    with pytest.raises(Problem, match=f"`{name}` has a prediction") as refused:
        loss.forward(torch.zeros(shape), LABELS)
    assert (refused.value.code, refused.value.exit_code) == ("loss-shape", 2)
