"""Games against torch's own losses and numbers by hand: which way everybody is pulled, and how hard."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.games import Game
from gradtrain.components.games.hinge import Hinge
from gradtrain.components.games.least_squares import LeastSquares
from gradtrain.components.games.minimax import Minimax
from gradtrain.components.games.non_saturating import NonSaturating
from gradtrain.components.games.wasserstein import Wasserstein
from gradtrain.registry import find, names

ALL = [find(Game, name)() for name in names(Game)]
IDS = [game.name() for game in ALL]


def scores(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("game", ALL, ids=IDS)
def test_the_critic_raises_real_scores_and_lowers_fake_ones_and_the_generator_raises_its_own(game: Game) -> None:
    real, fake = torch.zeros(3, 1, requires_grad=True), torch.zeros(5, 1, requires_grad=True)
    of_real, of_fake = torch.autograd.grad(game.critic(real, fake), [real, fake], materialize_grads=True)
    (wish,) = torch.autograd.grad(game.generator(fake), fake)

    assert (of_real < 0).all()
    assert (of_fake > 0).all() or (game.name() == "least_squares" and (of_fake == 0).all())
    assert (wish < 0).all()


@pytest.mark.parametrize("game", ALL, ids=IDS)
def test_means_do_not_depend_on_how_many_there_are(game: Game) -> None:
    real, fake = scores(4, 1), scores(3, 1, seed=1)

    torch.testing.assert_close(game.critic(real.repeat(2, 1), fake), game.critic(real, fake))
    torch.testing.assert_close(game.critic(real, fake.repeat(3, 1)), game.critic(real, fake))
    torch.testing.assert_close(game.generator(fake.repeat(2, 1)), game.generator(fake))


@pytest.mark.parametrize("game", ALL, ids=IDS)
def test_far_scores_stay_finite_in_single_precision(game: Game) -> None:
    real, fake = torch.tensor([[-500.0], [500.0]], requires_grad=True), torch.tensor([[500.0], [-500.0]])
    fake.requires_grad_()
    total = game.critic(real, fake) + game.generator(fake)
    slopes = torch.autograd.grad(total, [real, fake])

    assert total.isfinite()
    assert all(slope.isfinite().all() for slope in slopes)


@pytest.mark.parametrize(("real_label", "fake_label"), [(1.0, 0.0), (0.9, 0.0), (0.8, 0.1)])
def test_non_saturating_is_binary_cross_entropy_on_probabilities(real_label: float, fake_label: float) -> None:
    game, real, fake = NonSaturating(real_label=real_label, fake_label=fake_label), scores(4, 1), scores(6, 1, seed=1)
    bce = nn.BCELoss()
    critic = bce(real.sigmoid(), torch.full_like(real, real_label))
    critic = critic + bce(fake.sigmoid(), torch.full_like(fake, fake_label))

    torch.testing.assert_close(game.critic(real, fake), critic)
    torch.testing.assert_close(game.generator(fake), bce(fake.sigmoid(), torch.ones_like(fake)))


def test_a_smoothed_critic_is_content_at_the_label_itself() -> None:
    real, fake = torch.full((3, 1), math.log(0.9 / 0.1), requires_grad=True), torch.full((3, 1), -40.0)
    (slope,) = torch.autograd.grad(NonSaturating(real_label=0.9).critic(real, fake), real)

    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-7, rtol=0)


def test_minimax_shares_the_critic_with_non_saturating_and_has_the_opposite_sign_for_the_generator() -> None:
    real, fake = scores(4, 1), scores(6, 1, seed=1)

    torch.testing.assert_close(Minimax().critic(real, fake), NonSaturating().critic(real, fake))
    torch.testing.assert_close(Minimax().generator(fake), (1 - fake.sigmoid()).log().mean())


def test_the_minimax_generator_hardly_learns_from_a_sure_critic_and_the_other_does() -> None:
    fake = torch.full((1, 1), -20.0, dtype=torch.float64, requires_grad=True)
    (saturated,) = torch.autograd.grad(Minimax().generator(fake), fake)
    (strong,) = torch.autograd.grad(NonSaturating().generator(fake), fake)

    assert -1e-8 < saturated.item() < 0
    assert strong.item() == pytest.approx(-1, abs=1e-8)


def test_undecided_critics_cost_what_the_papers_say() -> None:
    still = torch.zeros(4, 1, dtype=torch.float64)

    assert Minimax().critic(still, still).item() == pytest.approx(math.log(4))
    assert Hinge().critic(still, still).item() == 2
    assert LeastSquares().critic(still, still).item() == 0.5
    assert Wasserstein().critic(still, still).item() == 0


def test_least_squares_by_hand() -> None:
    real, fake = torch.tensor([[2.0], [0.0]]), torch.tensor([[3.0]])

    assert LeastSquares().critic(real, fake).item() == pytest.approx((1 + 1) / 2 / 2 + 9 / 2)
    assert LeastSquares().generator(fake).item() == 2
    pearson = LeastSquares(real_label=1.0, fake_label=-1.0, aim=0.0)
    assert pearson.critic(real, fake).item() == pytest.approx(0.5 + 8)
    assert pearson.generator(fake).item() == 4.5


def test_hinge_leaves_sure_scores_alone() -> None:
    real, fake = torch.tensor([[1.5], [-1.0]], requires_grad=True), torch.tensor([[-3.0], [0.5]], requires_grad=True)
    cost = Hinge().critic(real, fake)
    of_real, of_fake = torch.autograd.grad(cost, [real, fake])

    assert cost.item() == pytest.approx(2 / 2 + 1.5 / 2)
    assert of_real.flatten().tolist() == [0, -0.5]
    assert of_fake.flatten().tolist() == [0, 0.5]


def test_wasserstein_is_the_gap_of_the_means_and_has_no_bound() -> None:
    real, fake = torch.tensor([[4.0], [2.0]]), torch.tensor([[1.0], [0.0], [2.0]])

    assert Wasserstein().critic(real, fake).item() == -2
    assert Wasserstein().generator(fake).item() == -1
    assert [game.name() for game in ALL if not game.bounded] == ["wasserstein"]
    assert Wasserstein().critic(1000 * real, 1000 * fake).item() == -2000
