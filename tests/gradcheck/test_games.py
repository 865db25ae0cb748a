"""Mistakes planted in games and in losses of whole batches: each is caught, under the name of the side it is on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain.components.games.hinge import Hinge
from gradtrain.components.games.non_saturating import NonSaturating
from gradtrain.components.games.wasserstein import Wasserstein
from gradtrain.components.losses.info_nce import InfoNce
from gradtrain.components.losses.kl_divergence import KlDivergence
from gradtrain.components.losses.triplet import Triplet
from gradtrain.gradcheck import check


class GeneratorFlipped(Wasserstein):
    def generator(self, fake: Tensor) -> Tensor:
        return fake.mean()


class OneSided(NonSaturating):
    """Smooths the fakes' label where the real one's was meant."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return NonSaturating(real_label=1.0, fake_label=1 - self.real_label).critic(real, fake)


class FakesForgotten(Hinge):
    def gradient_critic(self, g: Tensor, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {"real": super().gradient_critic(g, real, fake)["real"]}


class FakesCut(Hinge):
    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().critic(real, fake.detach())


class AnchorAlone(Triplet):
    """As if the others stood still: a closed form that lacks the paths through partners and strangers."""

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        with torch.enable_grad():
            x = prediction.detach().requires_grad_()
            costs = self.forward(x, target) * g
            return torch.stack([torch.autograd.grad(c, x, retain_graph=True)[0][i] for i, c in enumerate(costs)])


class ItselfAmongTheOthers(InfoNce):
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        u = torch.nn.functional.normalize(prediction, dim=1)
        same = (target.unsqueeze(1) == target).double().fill_diagonal_(0)
        log_q = torch.log_softmax(u @ u.T / self.temperature, dim=1)
        return -(log_q * same).sum(1) / same.sum(1).clamp(min=1)


class WithoutTheSquare(KlDivergence):
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return super().forward(prediction, target) / self.temperature


@pytest.mark.parametrize(
    ("family", "cls", "named"),
    [
        ("games", GeneratorFlipped, "generator"),
        ("games", OneSided, "critic"),
        ("games", FakesForgotten, "gradient of fake through critic"),
        ("games", FakesCut, "gradient of fake through critic"),
        ("losses", AnchorAlone, "gradient of prediction"),
        ("losses", ItselfAmongTheOthers, "forward"),
        ("losses", WithoutTheSquare, "forward"),
    ],
)
def test_a_planted_mistake_is_caught_and_named(caught: Any, family: str, cls: Any, named: str) -> None:
    caught(family, cls, named, set())


class Unsampled(Hinge):
    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        return []


def test_a_game_without_samples_has_proven_nothing(caught: Any) -> None:
    caught("games", Unsampled, "coverage", {"coverage"})


def test_both_sides_of_a_game_are_proven() -> None:
    checks = {finding.check for finding in check("games", "hinge", Hinge)}

    assert {"critic", "generator"} <= checks
    assert {f"gradient of {name} through {side}" for name, side in (("real", "critic"), ("fake", "critic"))} <= checks
    assert "gradient of fake through generator" in checks
