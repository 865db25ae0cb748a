"""Initial weights: moments, bounds and kind of distribution, against numbers worked out from the papers by hand."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.initializers import Initializer, Spread
from gradtrain.components.initializers.constant import Constant
from gradtrain.components.initializers.default import Default
from gradtrain.components.initializers.kaiming_normal import KaimingNormal
from gradtrain.components.initializers.kaiming_uniform import KaimingUniform
from gradtrain.components.initializers.normal import Normal
from gradtrain.components.initializers.orthogonal import Orthogonal
from gradtrain.components.initializers.uniform import Uniform
from gradtrain.components.initializers.xavier_normal import XavierNormal
from gradtrain.components.initializers.xavier_uniform import XavierUniform
from gradtrain.problems import Problem
from gradtrain.stage import Shape

MATRIX: Shape = (400, 200)
"""200 inputs, 400 outputs."""

FILTERS: Shape = (100, 32, 3, 3)
"""An output sums over 32·9 = 288 inputs; an input reaches 100·9 = 900 outputs."""

ROOT3 = math.sqrt(3)

PUBLISHED: list[tuple[Initializer, Shape, float, float]] = [
    (XavierNormal(), MATRIX, 0.0, math.sqrt(2 / 600)),
    (XavierNormal(gain=2.0), FILTERS, 0.0, 2 * math.sqrt(2 / 1188)),
    (XavierUniform(), MATRIX, 0.0, 0.1 / ROOT3),
    (XavierUniform(gain=2.0), FILTERS, 0.0, 2 * math.sqrt(6 / 1188) / ROOT3),
    (KaimingNormal(), MATRIX, 0.0, 0.1),
    (KaimingNormal(), FILTERS, 0.0, 1 / 12),
    (KaimingNormal(mode="fan_out"), FILTERS, 0.0, math.sqrt(2) / 30),
    (KaimingNormal(nonlinearity="linear"), FILTERS, 0.0, 1 / math.sqrt(288)),
    (KaimingNormal(nonlinearity="tanh"), MATRIX, 0.0, 5 / 3 / math.sqrt(200)),
    (KaimingNormal(nonlinearity="leaky_relu", slope=0.5), MATRIX, 0.0, math.sqrt(1.6 / 200)),
    (KaimingUniform(), MATRIX, 0.0, 0.1),
    (KaimingUniform(mode="fan_out"), FILTERS, 0.0, math.sqrt(2) / 30),
    (KaimingUniform(nonlinearity="leaky_relu", slope=0.5), MATRIX, 0.0, math.sqrt(1.6 / 200)),
    (Normal(), MATRIX, 0.0, 0.02),
    (Normal(std=0.5, mean=-1.0), MATRIX, -1.0, 0.5),
    (Uniform(), MATRIX, 0.0, 0.1 / ROOT3),
    (Uniform(high=3.0, low=1.0), MATRIX, 2.0, 1 / ROOT3),
    (Orthogonal(), MATRIX, 0.0, 1 / 20),
    (Orthogonal(gain=2.0), FILTERS, 0.0, 2 / math.sqrt(288)),
]
"""(initializer, shape of the weight, mean, standard deviation)."""

EVEN = (XavierUniform, KaimingUniform, Uniform)


def said(value: object) -> str:
    return f"{value.name()}-{value!r}" if isinstance(value, Initializer) else str(value)


@pytest.mark.parametrize(("initializer", "shape", "mean", "std"), PUBLISHED, ids=said)
def test_moments_and_bounds(
    initializer: Initializer, shape: Shape, mean: float, std: float, seeded: torch.Generator
) -> None:
    spread = initializer.textbook(shape)
    assert spread is not None
    assert (spread.mean, spread.std) == pytest.approx((mean, std), rel=1e-12)

    weight = torch.empty(shape, dtype=torch.float64)
    initializer.fill(weight)
    error = 5 * std / math.sqrt(weight.numel())  # five standard errors of the mean; that of the deviation is smaller
    assert float(weight.mean()) == pytest.approx(mean, abs=error)
    assert float(weight.std()) == pytest.approx(std, abs=error)
    tails = float(((weight - mean) ** 4).mean()) / std**4
    if isinstance(initializer, EVEN):
        assert (spread.low, spread.high) == pytest.approx((mean - ROOT3 * std, mean + ROOT3 * std))
        assert spread.low <= float(weight.min()) < spread.low + 0.01 * std
        assert spread.high - 0.01 * std < float(weight.max()) <= spread.high
        assert tails == pytest.approx(9 / 5, abs=0.05)
    else:
        assert spread.low <= float(weight.min()) < float(weight.max()) <= spread.high
        assert float((weight - mean).abs().max()) > 3 * std
        assert tails == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (40, 40), (12, 4, 3, 3)], ids=str)
def test_orthogonal_keeps_lengths(shape: Shape, seeded: torch.Generator) -> None:
    weight = torch.empty(shape, dtype=torch.float64)
    Orthogonal(gain=3.0).fill(weight)
    matrix = weight.reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(small, 9 * torch.eye(len(small), dtype=torch.float64), rtol=0, atol=1e-12)


def test_kaiming_keeps_the_size_of_signals_through_relu_layers(seeded: torch.Generator) -> None:
    depth, width = 10, 400
    x = torch.randn(200, width, dtype=torch.float64)  # from the stream of the weights, or they would be correlated
    for _ in range(depth):
        weight = torch.empty(width, width, dtype=torch.float64)
        KaimingNormal().fill(weight)
        x = (x @ weight.T).relu()
    # The logarithm of the mean square wanders by √(5 depth / width) = 0.35; without the gain it falls to -6.9.
    assert abs(math.log(float((x**2).mean()))) < 3 * math.sqrt(5 * depth / width)


def test_constant() -> None:
    bias = torch.empty(3, 2)
    Constant(value=0.5).fill(bias)
    assert bias.tolist() == [[0.5, 0.5]] * 3
    assert Constant(value=0.5).textbook((3, 2)) == Spread(0.5, 0.0, 0.5, 0.5)


def test_default_leaves_what_is_there() -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    Default().fill(weight)
    assert torch.equal(weight, torch.arange(6.0).reshape(2, 3))
    assert Default().textbook((2, 3)) is None


def test_one_bound_of_uniform_is_enough() -> None:
    assert Uniform.main_parameter() == "high"
    assert Uniform(high=0.5).textbook((2, 2)) == Uniform(high=0.5, low=-0.5).textbook((2, 2))


@pytest.mark.parametrize("bounds", [{"high": 1.0, "low": 1.0}, {"high": 0.0, "low": 1.0}, {"high": -1.0}], ids=str)
def test_bounds_in_the_wrong_order_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="must be below"):
        Uniform(**bounds)


@pytest.mark.parametrize(
    "initializer", [KaimingNormal(), KaimingUniform(), XavierNormal(), XavierUniform(), Orthogonal()]
)
def test_what_needs_a_weight_refuses_a_bias(initializer: Initializer) -> None:
    with pytest.raises(Problem, match=rf"`{initializer.name()}` cannot fill a parameter of shape \[4\]") as caught:
        initializer.fill(torch.zeros(4))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("initializer", [Normal(), Uniform(), Constant(value=2.0), Default()])
def test_the_others_fill_a_bias(initializer: Initializer, seeded: torch.Generator) -> None:
    bias = torch.full((4,), 9.0)
    initializer.fill(bias)
    assert bool((bias == 9.0).all()) is isinstance(initializer, Default)
