"""Autoencoders: the input said again, from a noisy one while training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.mse import Mse
from gradtrain.components.objectives import Outline, Task, Wish
from gradtrain.components.objectives.autoencoder import Autoencoder

X = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture
def networks(seeded) -> dict[str, nn.Module]:
    return {"model": nn.Sequential(nn.Flatten(), nn.Linear(4, 4)).double()}


def task(noise: float = 0.0) -> Task:
    return Autoencoder(noise=noise).start([WeightedLoss(part=Mse())], "value", Facts(shape=(1, 2, 2)))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_total_compares_with_the_clean_input(networks, noise: float) -> None:
    torch.manual_seed(3)
    seen = X + noise * torch.randn(5, 1, 2, 2, dtype=torch.float64) if noise else X
    expected = (networks["model"](seen) - X.flatten(1)).square().mean()
    torch.manual_seed(3)
    terms = task(noise).losses("model", networks, {"x": X})
    torch.testing.assert_close(terms.total, expected)
    terms.total.backward()
    assert all(p.grad is not None for p in networks["model"].parameters())


def test_evaluations_read_the_clean_input(networks) -> None:
    terms, prediction, target = task(noise=0.5).measure(networks, {"x": X})
    assert target is X
    assert torch.equal(prediction.flatten(1), networks["model"](X))
    torch.testing.assert_close(terms.total, (prediction - X).square().mean())


def test_pictures_stand_below_their_models(networks) -> None:
    images = task().sample(networks, Wish(batch={"x": X})).images
    assert images is not None
    torch.testing.assert_close(images[:5], X)
    torch.testing.assert_close(images[5:].flatten(1), networks["model"](X).clamp(0, 1))


def test_complaints() -> None:
    def told(output: tuple[int, ...]) -> list[str]:
        return [p.code for _, p in Autoencoder().complaints({"model": Outline((1, 2, 2), output, ())}, Facts())]

    assert told((4,)) == told((1, 2, 2)) == []
    assert told((3,)) == ["output-width"]
