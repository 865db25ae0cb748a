"""Penalties on tensors: numbers by hand, and what each of them asks for at its minimum."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from gradtrain import registry
from gradtrain.components.regularizers import Regularizer
from gradtrain.components.regularizers.activity import Activity
from gradtrain.components.regularizers.entropy import Entropy
from gradtrain.components.regularizers.gradient_penalty import GradientPenalty
from gradtrain.components.regularizers.group_lasso import GroupLasso
from gradtrain.components.regularizers.jacobian import Jacobian
from gradtrain.components.regularizers.max_norm import MaxNorm
from gradtrain.components.regularizers.orthogonal import Orthogonal
from gradtrain.components.regularizers.r1 import R1
from gradtrain.components.regularizers.spectral import Spectral

W = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (GroupLasso(strength=0.5), 0.5 * math.sqrt(2) * (5 + 0 + 1)),
        (Orthogonal(strength=0.5), 0.5 * (9**2 + 15**2 + 2 * 12**2)),
        (Spectral(strength=0.5), 0.25 * (26 + math.sqrt(26**2 - 4 * 16)) / 2),
        (Activity(strength=0.3), 0.3 * 8 / 3),
        (Activity(strength=0.3, norm="l2"), 0.3 * 26 / 3),
        (GradientPenalty(strength=2.0), 2 * (4**2 + 1 + 0) / 3),
        (GradientPenalty(strength=2.0, target=0.0), 2 * 26 / 3),
        (R1(strength=2.0), 26 / 3),
        (Jacobian(strength=2.0), 26 / 3),
        (Entropy(strength=2.0), -2 * (2 * (math.log(1 + math.e) - math.e / (1 + math.e)) + math.log(2)) / 3),
    ],
    ids=lambda value: value.name() if isinstance(value, Regularizer) else "",
)
def test_by_hand(rule: Regularizer, value: float) -> None:
    assert rule.forward(W).item() == pytest.approx(value, rel=1e-9)


def test_the_strongest_direction_of_a_filter_bank_is_that_of_its_matrix(seeded: torch.Generator) -> None:
    weight = torch.randn(4, 2, 3, 3, generator=seeded, dtype=torch.float64)
    expected = 0.5 * torch.linalg.svdvals(weight.reshape(4, 18))[0].item() ** 2
    assert Spectral(strength=1.0).forward(weight).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 2, 2, 2)], ids=str)
def test_a_rotation_costs_nothing(shape: tuple[int, ...], seeded: torch.Generator) -> None:
    weight = torch.nn.init.orthogonal_(torch.empty(shape, dtype=torch.float64))
    rule = Orthogonal(strength=1.0)
    assert rule.forward(weight).item() == pytest.approx(0, abs=1e-24)
    assert rule.forward(1.1 * weight).item() == pytest.approx(min(shape[0], weight[0].numel()) * 0.21**2, rel=1e-9)


def test_doubt_is_cheapest_where_all_answers_are_as_likely() -> None:
    sure, torn = torch.tensor([[50.0, 0.0, 0.0]]), torch.zeros(1, 3)
    assert Entropy(strength=1.0).forward(torn).item() == pytest.approx(-math.log(3))
    assert Entropy(strength=1.0).forward(sure).item() == pytest.approx(0, abs=1e-6)
    images = torch.zeros(2, 3, 4, 4)
    assert Entropy(strength=1.0).forward(images).item() == pytest.approx(-math.log(3))


def test_a_batch_twice_as_large_costs_the_same(seeded: torch.Generator) -> None:
    x = torch.randn(4, 3, generator=seeded, dtype=torch.float64)
    for rule in (Activity(strength=0.3), Entropy(strength=0.3), GradientPenalty(), R1(), Jacobian(strength=0.3)):
        torch.testing.assert_close(rule.forward(torch.cat([x, x])), rule.forward(x), rtol=1e-12, atol=0)


def test_the_constraint_cuts_long_rows_back_and_leaves_short_ones() -> None:
    held = MaxNorm(limit=2.5).forward(W)
    assert held.flatten().tolist() == pytest.approx([1.5, 2.0, 0.0, 0.0, -1.0, 0.0])
    assert torch.equal(MaxNorm(limit=2.5).forward(held)[1:], W[1:])
    torch.testing.assert_close(MaxNorm(limit=2.5).forward(held), held, rtol=1e-15, atol=0)
    filters = torch.full((2, 3, 2, 2), 1.0, dtype=torch.float64)
    assert MaxNorm(limit=1.0).forward(filters).flatten(1).norm(dim=1).tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("name", registry.names(Regularizer))
def test_none_rewards_what_it_should_punish(name: str) -> None:
    cls = registry.find(Regularizer, name)
    for field in cls.model_fields:
        if field in ("strength", "limit", "target", "l1", "l2"):
            with pytest.raises(ValidationError):
                cls(**{**cls.cases[0], field: -0.1})
