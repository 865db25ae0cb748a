"""Diffusion: how samples fade, what is asked of the network, and the way back."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.mse import Mse
from gradtrain.components.objectives import Outline, Task, Wish
from gradtrain.components.objectives.diffusion import Diffusion

X = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2 - 1


class Keeping(nn.Module):
    """Says nothing, and remembers what it read."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return self.weight * x[:, :-1]


def task(**options: object) -> Task:
    return Diffusion(**options).start([WeightedLoss(part=Mse())], "value", Facts(shape=(1, 4, 4)))  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("steps", [20, 1000])
def test_a_sample_fades_from_itself_to_noise(schedule: str, steps: int) -> None:
    left = Diffusion(steps=steps, schedule=schedule).left()
    assert left.shape == (steps + 1,)
    assert float(left[0]) == 1.0
    assert 0 < float(left[-1]) < 1e-3
    assert bool((left.diff() <= 0).all())


def test_the_published_schedules() -> None:
    linear = Diffusion(schedule="linear").left()
    product = 1.0
    for s in range(1, 1001):
        product *= 1 - (1e-4 + (0.02 - 1e-4) * (s - 1) / 999)
        assert float(linear[s]) == pytest.approx(product, rel=1e-9)
    assert float(linear[-1]) == pytest.approx(4.036e-5, rel=1e-3)  # Ho et al.: "L_T ≈ 0", ᾱ_T ≈ 4e-5
    cosine = Diffusion().left()
    f0 = math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    for t in (1, 250, 500, 900):
        expected = math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 / f0
        assert float(cosine[t]) == pytest.approx(expected, rel=1e-12)


def test_the_network_is_asked_for_the_noise_in_the_mixture() -> None:
    made, network = task(steps=50), Keeping()
    torch.manual_seed(4)
    terms = made.losses("model", {"model": network}, {"x": X})
    torch.manual_seed(4)
    t = torch.randint(1, 51, (6,))
    noise = torch.randn(6, 1, 4, 4, dtype=torch.float64)
    left = Diffusion(steps=50).left()[t].reshape(6, 1, 1, 1)
    mixed = left.sqrt() * X + (1 - left).sqrt() * noise
    torch.testing.assert_close(network.seen[:, :1], mixed)
    torch.testing.assert_close(network.seen[:, 1], (t / 50).double().reshape(6, 1, 1).expand(6, 4, 4))
    torch.testing.assert_close(terms.total, (0.5 * mixed - noise).square().mean())
    terms.total.backward()
    assert network.weight.grad is not None


class Knowing(nn.Module):
    """Knows the only sample there is, and so the noise in any mixture of it."""

    def __init__(self, clean: Tensor, steps: int) -> None:
        super().__init__()
        self.clean, self.steps, self.left = clean, steps, Diffusion(steps=steps).left()

    def forward(self, x: Tensor) -> Tensor:
        left = self.left[(x[:, -1:, :1, :1] * self.steps).round().long()]
        return (x[:, :-1] - left.sqrt() * self.clean) / (1 - left).sqrt()


@pytest.mark.parametrize("sample_steps", [2, 7, 50])
def test_with_the_right_noise_the_way_back_ends_at_the_sample(seeded, sample_steps: int) -> None:
    made = task(steps=200, sample_steps=sample_steps)
    images = made.sample({"model": Knowing(X[:1], 200)}, Wish(count=3, batch={"x": X})).images
    assert images is not None
    assert images.shape == (3, 1, 4, 4)
    torch.testing.assert_close(images, ((X[:1] + 1) / 2).expand(3, -1, -1, -1), atol=1e-6, rtol=0)


def test_complaints() -> None:
    def told(input: tuple[int, ...], output: tuple[int, ...]) -> list[str]:
        outlines = {"model": Outline(input, output, ())}
        return [p.code for _, p in Diffusion().complaints(outlines, Facts(shape=(1, 4, 4)))]

    assert told((2, 4, 4), (1, 4, 4)) == []
    assert told((1, 4, 4), (1, 4, 4)) == told((2, 4, 4), (2, 4, 4)) == ["output-width"]
