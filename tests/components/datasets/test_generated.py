"""Generated data sets against their geometry, their laws, and their seeds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.datasets import Dataset, Examples
from gradtrain.components.datasets.blobs import Blobs
from gradtrain.components.datasets.circles import Circles
from gradtrain.components.datasets.linear import Linear
from gradtrain.components.datasets.moons import Moons
from gradtrain.components.datasets.polynomial import Polynomial
from gradtrain.components.datasets.spirals import Spirals

HERE = Path()
SOURCES = [Moons, Circles, Blobs, Spirals, Linear, Polynomial]


def load(source: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    fields = source.load(HERE).fields
    return fields["x"], fields["y"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_seed_gives_the_same_points_whatever_torch_has_drawn(source) -> None:
    x, y = load(source(seed=7))
    torch.rand(5)
    again, answers = load(source(seed=7))
    other, _ = load(source(seed=8))
    assert torch.equal(x, again)
    assert torch.equal(y, answers)
    assert not torch.equal(x, other)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("count", [6, 7, 101])
def test_the_facts_are_those_of_the_samples(source, count) -> None:
    made: Examples = source(count=count).load(HERE)
    facts = source(count=count).facts()
    x, y = made.fields["x"], made.fields["y"]
    assert made.facts == facts
    assert (facts.count, facts.shape) == (len(x), tuple(x.shape[1:]))
    assert len(x) == len(y) == count
    assert x.dtype == torch.float32
    if facts.classes is not None:
        sizes = y.bincount(minlength=facts.classes)
        assert y.dtype == torch.int64
        assert sizes.max() - sizes.min() <= 1
        assert len(sizes) == facts.classes
    else:
        assert (y.dtype, tuple(y.shape)) == (torch.float32, (count, facts.outputs))


@pytest.mark.parametrize("source", SOURCES)
def test_the_generator_of_torch_is_left_alone(source) -> None:
    state = torch.get_rng_state()
    source().load(HERE)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 10**12}, {"seed": -1}, {"seed": 2**63}, {"noise": -0.1}])
def test_wrong_parameters(source, wrong) -> None:
    with pytest.raises(ValidationError):
        source(**wrong)


@pytest.mark.parametrize("source", [Blobs, Spirals])
def test_every_class_needs_points(source) -> None:
    with pytest.raises(ValidationError, match="count: 20"):
        source(count=19, classes=10)
    assert source(count=20, classes=10).load(HERE).fields["y"].bincount().tolist() == [2] * 10


def test_moons_are_half_circles() -> None:
    x, y = load(Moons(noise=0.0, count=200))
    outer, inner = x[y == 0], x[y == 1]
    torch.testing.assert_close(outer.norm(dim=1), torch.ones(100))
    assert (outer[:, 1] >= -1e-6).all()
    torch.testing.assert_close((inner - torch.tensor([1.0, 0.5])).norm(dim=1), torch.ones(100))
    assert (inner[:, 1] <= 0.5 + 1e-6).all()


def test_no_straight_line_divides_the_moons() -> None:
    x, y = load(Moons(noise=0.0))
    design = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    fit = torch.linalg.lstsq(design, 2.0 * y.unsqueeze(1) - 1).solution
    right = ((design @ fit > 0).flatten() == (y == 1)).float().mean()
    assert 0.75 < right < 0.99


def test_circles_have_their_radii() -> None:
    x, y = load(Circles(noise=0.0, factor=0.3, count=51))
    torch.testing.assert_close(x[y == 0].norm(dim=1), torch.ones(26))
    torch.testing.assert_close(x[y == 1].norm(dim=1), torch.full((25,), 0.3))
    torch.testing.assert_close(x[y == 0].mean(dim=0), torch.zeros(2), atol=1e-6, rtol=0)


def test_blobs_lie_around_their_centres() -> None:
    x, y = load(Blobs(classes=4, count=4000, spread=5.0, noise=0.5))
    for k, centre in enumerate([(5.0, 0.0), (0.0, 5.0), (-5.0, 0.0), (0.0, -5.0)]):
        torch.testing.assert_close(x[y == k].mean(dim=0), torch.tensor(centre), atol=0.08, rtol=0)
        torch.testing.assert_close(x[y == k].std(dim=0), torch.full((2,), 0.5), atol=0.05, rtol=0)


def test_spirals_wind_around_each_other() -> None:
    turns, classes = 2.0, 3
    x, y = load(Spirals(noise=0.0, classes=classes, turns=turns, count=300))
    radius, angle = x.double().norm(dim=1), torch.atan2(x[:, 1], x[:, 0]).double()
    whole = (angle / (2 * math.pi) - turns * radius - y / classes) % 1
    assert torch.minimum(whole, 1 - whole).max() < 1e-5
    assert radius.min() > 0.04
    assert radius.max() < 1 + 1e-6


@pytest.mark.parametrize("source", [Moons, Circles, Spirals])
def test_noise_has_its_standard_deviation(source) -> None:
    clean, _ = load(source(noise=0.0, count=5000))
    noisy, _ = load(source(noise=0.25, count=5000))
    torch.testing.assert_close((noisy - clean).std(), torch.tensor(0.25), atol=0.01, rtol=0)


def test_linear_follows_its_law() -> None:
    x, y = load(Linear(weights=(1.0, -2.0, 0.5), bias=3.0, noise=0.0))
    torch.testing.assert_close(y, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 3)


@pytest.mark.parametrize("weights", [(1.0, -2.0), 2])
def test_least_squares_finds_the_law_and_its_noise(weights) -> None:
    x, y = load(Linear(weights=weights, count=5000, noise=0.1, bias=-1.0, seed=3))
    design = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    found = torch.linalg.lstsq(design, y).solution
    assert abs(found[2] + 1) < 0.01
    if isinstance(weights, tuple):
        torch.testing.assert_close(found[:2].flatten(), torch.tensor(weights), atol=0.01, rtol=0)
    assert abs((y - design @ found).std() - 0.1) < 0.01


def test_drawn_weights_come_from_the_seed() -> None:
    def weights(seed: int) -> torch.Tensor:
        x, y = load(Linear(weights=4, noise=0.0, bias=0.0, seed=seed))
        return torch.linalg.lstsq(x, y).solution

    torch.testing.assert_close(weights(1), weights(1))
    assert (weights(1) - weights(2)).abs().min() > 1e-3


@pytest.mark.parametrize("powers", [False, True])
def test_polynomial_follows_its_coefficients(powers) -> None:
    x, y = load(Polynomial(coefficients=(1.0, 0.0, -2.0, 3.0), noise=0.0, powers=powers))
    t = x[:, :1].double()
    torch.testing.assert_close(y, (1 - 2 * t**2 + 3 * t**3).float())
    assert x.shape[1] == (3 if powers else 1)
    if powers:
        torch.testing.assert_close(x, torch.cat([t, t**2, t**3], dim=1).float())
    assert x.abs().max() <= 1
