"""What the contract does not say of activations: agreement with torch, which axis is cut, second derivatives."""

from __future__ import annotations

import decimal
import math

import pytest
import torch
import torch.nn.functional as F

from gradtrain import registry
from gradtrain.components.activations import Activation
from gradtrain.components.activations.celu import Celu
from gradtrain.components.activations.glu import Glu
from gradtrain.components.activations.identity import Identity
from gradtrain.components.activations.log_softmax import LogSoftmax
from gradtrain.components.activations.selu import Selu
from gradtrain.components.activations.sine import Sine
from gradtrain.components.activations.swiglu import Swiglu
from gradtrain.stage import Misfit, Shape

X = torch.linspace(-6, 6, 41, dtype=torch.float64)


@pytest.mark.parametrize("alpha", [0.3, 0.7, 1.0])
def test_celu_has_all_digits_of_float64(alpha: float) -> None:
    for x in (-5.0, -0.37, -1e-9):
        exact = decimal.Decimal(alpha) * ((decimal.Decimal(x) / decimal.Decimal(alpha)).exp() - 1)
        assert Celu(alpha=alpha).forward(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(
            float(exact), rel=4e-16
        )
    torch.testing.assert_close(Celu(alpha=alpha).forward(X), F.celu(X, alpha), rtol=1e-6, atol=1e-7)


def test_selu_keeps_mean_and_variance() -> None:
    """The fixed point by the integral over a standard normal number."""
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    y = Selu().forward(z)
    mean = torch.trapezoid(y * density, z).item()
    assert mean == pytest.approx(0, abs=1e-9)
    assert torch.trapezoid(y**2 * density, z).item() - mean**2 == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize(("shape", "axis"), [((6,), 1), ((3, 6), 2), ((6, 2, 3), 1)], ids=str)
def test_gates_cut_the_features(shape: Shape, axis: int, seeded: torch.Generator) -> None:
    x = torch.randn(2, *shape, generator=seeded, dtype=torch.float64)
    first, second = x.split(3, dim=axis)
    torch.testing.assert_close(Glu().forward(x), F.glu(x, dim=axis), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(Swiglu().forward(x), first * F.silu(second), rtol=1e-14, atol=1e-15)
    for gate in (Glu(), Swiglu()):
        assert gate.output_shape(shape) == tuple(gate.forward(x).shape[1:])


@pytest.mark.parametrize("shape", [(5,), (6, 5), (5, 6, 6)], ids=str)
@pytest.mark.parametrize("gate", [Glu(), Swiglu()], ids=lambda gate: gate.name())
def test_an_odd_number_of_features_has_no_halves(gate: Activation, shape: Shape) -> None:
    with pytest.raises(Misfit, match="5 features into halves"):
        gate.output_shape(shape)


def test_waves_by_hand() -> None:
    assert Sine(omega=30.0).forward(torch.tensor(math.pi / 60, dtype=torch.float64)).item() == pytest.approx(1)
    assert Sine().forward(torch.tensor(math.pi / 6, dtype=torch.float64)).item() == pytest.approx(0.5)


def test_log_softmax_stays_finite_where_the_softmax_is_zero() -> None:
    x = torch.tensor([[1000.0, 0.0], [0.0, -1000.0]])
    assert LogSoftmax().forward(x).tolist() == [[0.0, -1000.0], [0.0, -1000.0]]


def test_the_identity_costs_no_copy() -> None:
    assert Identity().forward(X) is X


@pytest.mark.parametrize("name", registry.names(Activation))
def test_the_second_derivative_is_right(name: str, seeded: torch.Generator) -> None:
    """Penalties on slopes and equations with derivatives differentiate twice."""
    activation = registry.find(Activation, name)()
    x = (0.3 + torch.randn(3, 4, generator=seeded, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradgradcheck(activation.forward, (x,), atol=1e-6)
