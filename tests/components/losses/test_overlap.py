"""Focal and dice loss: what is easy weighs little, what overlaps costs little; against formulas on probabilities."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gradtrain.components.losses.dice import Dice
from gradtrain.components.losses.focal import Focal
from gradtrain.problems import Problem


def scores(*shape: int) -> Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def labels(top: int, *shape: int) -> Tensor:
    return torch.randint(0, top, shape, generator=torch.Generator().manual_seed(8))


@pytest.mark.parametrize("extra", [(), (3,), (2, 3)], ids=str)
def test_without_focus_it_is_cross_entropy(extra: tuple[int, ...]) -> None:
    prediction, target = scores(6, 4, *extra), labels(4, 6, *extra)
    weights = (0.5, 1.0, 2.0, 0.3)
    theirs = F.cross_entropy(prediction, target, torch.tensor(weights, dtype=torch.float64), reduction="none")

    torch.testing.assert_close(Focal(gamma=0.0, weights=weights).forward(prediction, target), theirs)
    answers = labels(2, 6, 4, *extra).double()
    theirs = F.binary_cross_entropy_with_logits(prediction, answers, reduction="none")
    torch.testing.assert_close(Focal(gamma=0.0).forward(prediction, answers), theirs)


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_yes_or_no_by_the_papers_formula(alpha: float | None, gamma: float) -> None:
    prediction, target = scores(5, 3), labels(2, 5, 3).double()
    cross_entropy = F.binary_cross_entropy_with_logits(prediction, target, reduction="none")
    p = torch.exp(-cross_entropy)
    balance = 1.0 if alpha is None else torch.where(target == 1, alpha, 1 - alpha)

    found = Focal(gamma=gamma, alpha=alpha).forward(prediction, target)
    torch.testing.assert_close(found, balance * (1 - p) ** gamma * cross_entropy)


def test_two_classes_are_yes_or_no() -> None:
    score, target = scores(6, 1), labels(2, 6)
    both = torch.cat([torch.zeros_like(score), score], dim=1)

    of_classes = Focal().forward(both, target)
    torch.testing.assert_close(of_classes, Focal().forward(score, target.unsqueeze(1).double()).squeeze(1))


@pytest.mark.parametrize("gamma", [0.3, 0.5, 2.0])
def test_a_sure_answer_has_no_infinite_slope(gamma: float) -> None:
    """(1 - p)^gamma has one at p = 1 for a gamma below 1; single precision rounds p to 1."""
    prediction = torch.tensor([[40.0, -40.0], [200.0, -200.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(Focal(gamma=gamma).forward(prediction, torch.tensor([0, 0])).sum(), prediction)
    score = torch.tensor([[40.0], [200.0]], requires_grad=True)
    (single,) = torch.autograd.grad(Focal(gamma=gamma).forward(score, torch.ones(2, 1)).sum(), score)

    assert slope.abs().max() < 1e-10
    assert single.abs().max() < 1e-10


def test_an_easy_example_weighs_a_hundredth_at_p_of_nine_tenths() -> None:
    """The paper's own example: gamma 2 and p = 0.9 cost a hundredth of cross-entropy."""
    score, yes = torch.tensor([[0.9]], dtype=torch.float64).logit(), torch.ones(1, 1, dtype=torch.float64)
    ratio = Focal().forward(score, yes) / F.binary_cross_entropy_with_logits(score, yes)

    torch.testing.assert_close(ratio.item(), 0.01)


@pytest.mark.parametrize(
    ("loss", "target", "help"),
    [
        (Focal(alpha=0.25), torch.tensor([0, 1]), "write `weights` instead"),
        (Focal(weights=(1.0, 2.0, 3.0)), torch.zeros(2, 3), "write `alpha` instead"),
        (Focal(weights=(1.0, 2.0)), torch.tensor([0, 1]), "write 3 numbers"),
    ],
    ids=["alpha-on-classes", "weights-on-answers", "too-few-weights"],
)
def test_factors_of_the_wrong_kind_are_refused(loss: Focal, target: Tensor, help: str) -> None:
    with pytest.raises(Problem) as refused:
        loss.forward(torch.zeros(2, 3), target)
    assert refused.value.code == "loss-weights"
    assert help in refused.value.help


def test_dice_of_a_region_by_hand() -> None:
    """Two of three predicted pixels lie in a region of four: 2·2 / (3 + 4)."""
    target = torch.tensor([[[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]]], dtype=torch.float64)
    predicted = torch.tensor([[[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]], dtype=torch.float64)
    score = 100 * (2 * predicted - 1)

    assert Dice(smooth=1e-12).forward(score, target).item() == pytest.approx(1 - 4 / 7)
    assert Dice(smooth=1.0).forward(score, target).item() == pytest.approx(1 - 5 / 8)
    assert Dice(smooth=1e-12, squared=True).forward(score, target).item() == pytest.approx(1 - 4 / 7)


def test_dice_is_one_minus_the_f1_score_of_certain_pixels() -> None:
    target, predicted = labels(2, 3, 1, 5, 5).double(), (scores(3, 1, 5, 5) > 0).double()
    hits = (target * predicted).sum((1, 2, 3))
    precision, recall = hits / predicted.sum((1, 2, 3)), hits / target.sum((1, 2, 3))

    found = Dice(smooth=1e-12).forward(200 * (predicted - 0.5), target)
    torch.testing.assert_close(found, 1 - 2 * precision * recall / (precision + recall))


def test_dice_of_classes_is_the_mean_of_their_regions() -> None:
    prediction, target = scores(2, 3, 4, 4), labels(3, 2, 4, 4)
    p = prediction.softmax(dim=1)
    alone = []
    for k in range(3):
        region = (target == k).double()
        overlap = (2 * (p[:, k] * region).sum((1, 2)) + 1) / (p[:, k].sum((1, 2)) + region.sum((1, 2)) + 1)
        alone.append(1 - overlap)

    torch.testing.assert_close(Dice().forward(prediction, target), torch.stack(alone).mean(dim=0))


def test_an_empty_region_predicted_empty_costs_nothing() -> None:
    empty = torch.zeros(2, 1, 4, 4)

    assert Dice().forward(empty - 100, empty).tolist() == [0, 0]
