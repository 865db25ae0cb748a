"""Derivatives by name: what `u_xt` means, and what it is."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.objectives._symbols import Derivatives, Symbols

SYMBOLS = Symbols(("x", "t", "theta2"), ("u", "v"), ("alpha",))


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("u", ("u", ())),
        ("u_x", ("u", ("x",))),
        ("v_tx", ("v", ("x", "t"))),
        ("u_theta2xtheta2", ("u", ("x", "theta2", "theta2"))),
        ("u_tttheta2", ("u", ("t", "t", "theta2"))),
        ("u_", None),
        ("u_y", None),
        ("u_xy", None),
        ("u_x_x", None),
        ("w_x", None),
        ("alpha", None),
        ("u_" + "x" * 7, None),
    ],
)
def test_a_name_is_read_as_a_derivative(name, meaning):
    assert SYMBOLS.derivative(name) == meaning


def test_what_could_be_read_in_two_ways_is_no_derivative():
    symbols = Symbols(("a", "ab", "ba"), ("u",), ())
    assert symbols.derivative("u_aba") is None
    assert symbols.derivative("u_abab") == ("u", ("ab", "ab"))


def test_the_names_are_coordinates_constants_and_derivatives():
    assert {"x", "alpha", "u", "u_xx"} < set(SYMBOLS)
    assert all(name in SYMBOLS for name in SYMBOLS)
    assert "beta" not in SYMBOLS


@pytest.fixture
def derivatives():
    points = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    x, t = points.unbind(dim=1)
    return Derivatives(points, ("x", "t"), {"u": torch.sin(2 * x) * t**3, "w": 3 * x + t, "c": torch.ones(20)})


def test_derivatives_are_those_of_calculus(derivatives):
    x, t = derivatives.points.detach().unbind(dim=1)
    for below, expected in {
        ("x",): 2 * torch.cos(2 * x) * t**3,
        ("t",): 3 * torch.sin(2 * x) * t**2,
        ("x", "x"): -4 * torch.sin(2 * x) * t**3,
        ("x", "t"): 6 * torch.cos(2 * x) * t**2,
        ("x", "x", "t", "t"): -24 * torch.sin(2 * x) * t,
    }.items():
        torch.testing.assert_close(derivatives("u", below).detach(), expected)


def test_straight_functions_have_no_curvature(derivatives):
    assert derivatives("w", ("x",)).tolist() == [3.0] * 20
    assert derivatives("w", ("x", "t")).tolist() == [0.0] * 20
    assert derivatives("c", ("x",)).tolist() == [0.0] * 20


def test_lower_derivatives_are_taken_once(derivatives, monkeypatch):
    calls = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **kwargs: calls.append(1) or grad(*args, **kwargs))
    for below in (("x", "x"), ("x", "t"), ("x",), ("t",), ("x", "x", "x")):
        derivatives("u", below)
    assert len(calls) == 3  # of u, of u_x, of u_xx: each by both coordinates at once
